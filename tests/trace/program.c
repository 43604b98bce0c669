/* Programs under the tracer: each mode is one thing that tracing must not change.
 * usage: program MODE PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int port;
static uint32_t where = INADDR_LOOPBACK;

static void say(const char *name, long value)
{
	printf("%s=%ld\n", name, value);
	fflush(stdout);
}

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static int listening(int family)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	in.sin_addr.s_addr = htonl(where);
	struct sockaddr *name = family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&in6;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(fd, name, family == AF_INET ? sizeof in : sizeof in6))
		die("bind");
	if (listen(fd, 1))
		die("listen");
	return fd;
}

/* Binds another host of the port beside its own before it listens on either, and serves that. */
static int beside(void)
{
	int fds[2];
	struct stat files[2];
	for (int i = 0; i < 2; i++) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i);
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (bind(fds[i], (struct sockaddr *)&in, sizeof in))
			die("bind");
		fstat(fds[i], &files[i]);
	}
	say("apart", files[0].st_ino != files[1].st_ino);
	/* Its own first: the tracer lets go at the last listener. */
	listen(fds[1], 1);
	listen(fds[0], 1);
	return fds[1];
}

static void serve(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	int set = epoll_create1(0);
	epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
	for (;;) {
		if (epoll_wait(set, &event, 1, -1) < 0 && errno != EINTR)
			die("epoll_wait");
		int connection = accept(fd, NULL, NULL);
		if (connection < 0 && errno != EAGAIN && errno != EINTR)
			die("accept");
		if (connection >= 0) {
			dprintf(connection, "%d\n", getpid());
			close(connection);
		}
	}
}

/* Answers every byte with the frames of an answer of HTTP/2. */
static void frames(int fd)
{
	static const char answer[] = "\0\0\1\1\4\0\0\0\1\x88\0\0\2\0\1\0\0\0\1ok";
	struct pollfd listener = {.fd = fd, .events = POLLIN};
	char byte;
	for (;;) {
		poll(&listener, 1, -1);
		int connection = accept(fd, NULL, NULL);
		while (connection >= 0 && read(connection, &byte, 1) == 1)
			if (write(connection, answer, sizeof answer - 1) < 0)
				die("write");
		close(connection);
	}
}

/* Sends small messages of a websocket back, or events of its own once it has got an e. */
static int passed_on(int connection, int *events)
{
	static const char event[] = "9\r\ndata: 1\n\n\r\n";
	struct pollfd client = {.fd = connection, .events = POLLIN};
	unsigned char bytes[256];
	if (poll(&client, 1, 50) == 0)
		return !*events || write(connection, event, sizeof event - 1) > 0;
	ssize_t size = read(connection, bytes, sizeof bytes);
	if (size < 0)
		return errno == EINTR;
	if (size > 0 && bytes[0] == 'e')
		*events = 1;
	if (size > 6 && bytes[0] == 0x81) {
		for (int at = 6; at < size; at++)
			bytes[at] ^= bytes[2 + (at - 6) % 4];
		bytes[4] = bytes[0];
		bytes[5] = bytes[1] & 0x7f;
		return write(connection, bytes + 4, size - 4) > 0;
	}
	return size > 0;
}

static volatile sig_atomic_t caught, finished;

static void on_signal(int signal);

static void streams(int fd, int acts)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct pollfd listener = {.fd = fd, .events = POLLIN};
	if (acts)
		sigaction(SIGTERM, &action, NULL);
	while (!caught) {
		int events = 0;
		if (poll(&listener, 1, 50) <= 0)
			continue;
		int connection = accept(fd, NULL, NULL);
		while (connection >= 0 && !caught && passed_on(connection, &events))
			;
		if (!caught) {
			say("gone", 1);
			close(connection);
		}
	}
	exit(3);
}

static void on_signal(int signal)
{
	(void)signal;
	caught++;
	getppid();
	finished++;
}

/* Signals all the time, in the middle of bind() and listen() too. */
static void storm(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &action, NULL);
	say("waiting", 1);
	while (caught < 5)
		getppid();
	int fd = listening(AF_INET);
	say("handlers_cut_short", caught - finished);
	serve(fd);
}

static void *spin(void *unused)
{
	for (;;)
		getppid();
	return unused;
}

static void *bind_and_serve(void *unused)
{
	serve(listening(AF_INET));
	return unused;
}

/* The one that binds is one of many that are busy. */
static void threads(void)
{
	pthread_t thread;
	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, spin, NULL);
	pthread_create(&thread, NULL, bind_and_serve, NULL);
	pthread_join(thread, NULL);
}

static void children(void)
{
	sigset_t pending;
	int fd = listening(AF_INET);
	say("wait", waitpid(-1, NULL, __WALL));
	say("errno_is_echild", errno == ECHILD);
	sigpending(&pending);
	say("sigchld_pending", sigismember(&pending, SIGCHLD));
	sigprocmask(SIG_BLOCK, NULL, &pending);
	say("sigterm_blocked", sigismember(&pending, SIGTERM));
	serve(fd);
}

static void vforked(void)
{
	if (vfork() == 0) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	int status;
	wait(&status);
	say("status", status);
	if (fork() == 0) {
		char text[16];
		snprintf(text, sizeof text, "%d", port);
		execl("/proc/self/exe", "program", "plain", text, NULL);
		_exit(1);
	}
	wait(NULL);
}

static void stopped(void)
{
	say("stopping", 1);
	raise(SIGSTOP);
	say("continued", 1);
	serve(listening(AF_INET));
}

static void handled(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGTERM, &action, NULL);
	say("waiting", 1);
	while (!caught)
		pause();
	exit(42);
}

static void late(void)
{
	say("waiting", 1);
	for (;;)
		usleep(10000);
}

int main(int count, char **arguments)
{
	const char *mode = count > 1 ? arguments[1] : "";
	struct rlimit core = {RLIM_INFINITY, RLIM_INFINITY};
	port = count > 2 ? atoi(arguments[2]) : 0;
	if (!strcmp(mode, "plain"))
		serve(listening(AF_INET));
	if (!strcmp(mode, "mapped")) {
		/* Of a position-independent program the kernel puts this in front. */
		mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		serve(listening(AF_INET));
	}
	if (!strcmp(mode, "frames"))
		frames(listening(AF_INET));
	if (!strncmp(mode, "streams", 7))
		streams(listening(AF_INET), !strcmp(mode, "streams-acts"));
	if (!strcmp(mode, "beside"))
		serve(beside());
	if (!strcmp(mode, "any")) {
		where = INADDR_ANY;
		serve(listening(AF_INET));
	}
	if (!strcmp(mode, "v6"))
		serve(listening(AF_INET6));
	if (!strcmp(mode, "storm"))
		storm();
	if (!strcmp(mode, "threads"))
		threads();
	if (!strcmp(mode, "children"))
		children();
	if (!strcmp(mode, "vforked"))
		vforked();
	if (!strcmp(mode, "stopped"))
		stopped();
	if (!strcmp(mode, "handled"))
		handled();
	if (!strcmp(mode, "late"))
		late();
	if (!strcmp(mode, "status"))
		return 7;
	if (!strcmp(mode, "crash")) {
		setrlimit(RLIMIT_CORE, &core);
		abort();
	}
	return 99;
}
