/* A server whose threads hold the locks of the C library most of the time: whatever a signal
 * handler would wait for, somebody has. usage: busy PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener;

static void *loads(void *unused)
{
	for (;;) {
		void *library = dlopen("libm.so.6", RTLD_NOW);
		if (!library || dlsym(RTLD_DEFAULT, "no_such_function"))
			abort();
		dlerror();
		dlclose(library);
	}
	return unused;
}

static void *allocates(void *unused)
{
	void *kept[64] = {0};
	for (unsigned at = 0;; at++) {
		free(kept[at % 64]);
		kept[at % 64] = malloc(2000 + at * 7919 % 100000);
	}
	return unused;
}

static void *prints(void *unused)
{
	FILE *nowhere = fopen("/dev/null", "w");
	for (;;)
		fprintf(nowhere, "%d\n", 4711);
	return unused;
}

static void *duplicates(void *unused)
{
	for (;;)
		close(dup(listener));
	return unused;
}

int main(int count, char **arguments)
{
	void *(*busy[])(void *) = {allocates, loads, prints, duplicates};
	struct sockaddr_in in = {.sin_family = AF_INET};
	pthread_t thread;
	in.sin_port = htons(count > 1 ? atoi(arguments[1]) : 0);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&in, sizeof in))
		return 1;
	for (int i = 0; i < 4; i++)
		pthread_create(&thread, NULL, busy[i], NULL);
	/* One of those is to be interrupted. */
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	listen(listener, 1);
	for (;;) {
		int connection = accept(listener, NULL, NULL);
		char text[32];
		if (connection < 0)
			return 2;
		sprintf(text, "%d\n", getpid());
		if (write(connection, text, strlen(text)) < 0)
			return 3;
		close(connection);
	}
}
