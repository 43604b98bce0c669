/* A server as Ruby ones are: the handler of SIGTERM runs in the main thread, and wakes the thread
 * that accepts by a byte in a pipe. That one says whether the main thread was back by then.
 * usage: bell HOW PORT; HOW is how it waits: select, poll or ppoll. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *how;
static int listener, bell[2];
static volatile sig_atomic_t back;

/* What tells Ruby's interpreter from others. */
void ruby_init(void) {}

static long milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The main thread is on a processor until it is back. */
static void ring(int signal)
{
	long end = milliseconds() + 30;
	if (write(bell[1], "!", signal == SIGTERM) != 1)
		_exit(1);
	while (milliseconds() < end)
		;
	back = 1;
}

static int wait_for_both(void)
{
	struct pollfd fds[2] = {{.fd = bell[0], .events = POLLIN}, {.fd = listener, .events = POLLIN}};
	fd_set set;
	if (!strcmp(how, "poll"))
		return poll(fds, 2, -1);
	if (!strcmp(how, "ppoll"))
		return ppoll(fds, 2, NULL, NULL);
	FD_ZERO(&set);
	FD_SET(bell[0], &set);
	FD_SET(listener, &set);
	return select((listener > bell[0] ? listener : bell[0]) + 1, &set, NULL, NULL, NULL);
}

static void *serve(void *nothing)
{
	int woken = wait_for_both();
	printf("woken=%d back=%d\n", woken, back);
	fflush(stdout);
	_exit(0);
	return nothing;
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(argc > 2 ? atoi(argv[2]) : 0)};
	struct sigaction action = {.sa_handler = ring};
	sigset_t term;
	pthread_t thread;
	how = argv[1];
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	sigaction(SIGTERM, &action, NULL);
	/* The thread shall not get the signal. */
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	if (pipe(bell) || bind(listener, (struct sockaddr *)&in, sizeof in) || listen(listener, 1) ||
	    pthread_create(&thread, NULL, serve, NULL))
		return 1;
	pthread_sigmask(SIG_UNBLOCK, &term, NULL);
	for (;;)
		pause();
}
