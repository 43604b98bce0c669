/* A thread that is about to be cancelled closes a descriptor by syscall(), as libuv does, so that it
 * is not cancelled there. */
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *closes(void *unused) {
    (void)unused;
    pthread_cancel(pthread_self());
    syscall(SYS_close, 99);
    puts("closed=1");
    fflush(stdout);
    pthread_testcancel();
    return NULL;
}

int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, closes, NULL)) return 2;
    pthread_join(thread, NULL);
    puts("ended=1");
    return 0;
}
