/* Has one request under way, and says on which stack a handler of SIGTERM runs before the signal is
 * the program's own: the alternate one is untouched otherwise. */
#include <arpa/inet.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 128 * 1024 };
static unsigned char stack[SIZE];

static void handler(int signal) { (void)signal; }

static int threads(void) {
    DIR *directory = opendir("/proc/self/task");
    int count = -2;
    while (directory && readdir(directory)) count++;
    closedir(directory);
    return count;
}

int main(int count, char **words) {
    if (count != 2) return 2;
    memset(stack, 0x5a, SIZE);
    stack_t alternate = {.ss_sp = stack, .ss_size = SIZE};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (sigaltstack(&alternate, NULL) || sigaction(SIGTERM, &action, NULL)) return 3;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 9)) return 4;
    int client = accept(fd, NULL, NULL);
    char request[100];
    printf("request=%d\n", read(client, request, sizeof request) > 0);
    fflush(stdout);
    /* The second one watches the drain. */
    while (threads() < 2) sched_yield();
    int touched = 0;
    for (int at = 0; at < SIZE; at++) touched |= stack[at] != 0x5a;
    printf("alternate=%d\n", touched);
    return 0;
}
