/* Servers as programs write them: each mode is one habit that the preload library must cope with.
 * usage: server MODE WHERE; WHERE is a port or a path. Every server answers "<pid>\n". */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <linux/filter.h>
#include <linux/seccomp.h>
#else
#define closefrom(first) ((void)(first))
#define close_range(first, last, flags) ((void)(first))
#endif

static int port;
static const char *where;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void say(const char *name, long value)
{
	printf("%s=%ld\n", name, value);
	fflush(stdout);
}

static int bind_inet(int type, uint32_t address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type, 0), on = 1;
	in.sin_addr.s_addr = htonl(address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&in, sizeof in))
		die("bind");
	return fd;
}

static int local(int type) { return bind_inet(type, INADDR_LOOPBACK); }

static int listening(void)
{
	int fd = local(SOCK_STREAM);
	if (listen(fd, 1))
		die("listen");
	return fd;
}

static void answer(int connection)
{
	char text[32];
	int length = snprintf(text, sizeof text, "%d\n", getpid());
	if (write(connection, text, length) != length)
		die("write");
	close(connection);
}

/* A blocking server: any error of accept() ends it. */
static void serve(int fd)
{
	for (;;) {
		int connection = accept(fd, NULL, NULL);
		if (connection < 0)
			die("accept");
		answer(connection);
	}
}

/* A server that waits by itself: only a lost race is forgiven. */
static void serve_one_try(int fd)
{
	int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (connection >= 0)
		answer(connection);
	else if (errno != EAGAIN)
		die("accept4");
}

static void serve_poll(int fd)
{
	for (;;) {
		struct pollfd entry = {fd, POLLIN, 0};
		if (poll(&entry, 1, -1) < 0)
			die("poll");
		serve_one_try(fd);
	}
}

static void serve_select(int fd)
{
	for (;;) {
		fd_set set;
		FD_ZERO(&set);
		FD_SET(fd, &set);
		if (select(fd + 1, &set, NULL, NULL, NULL) < 0)
			die("select");
		serve_one_try(fd);
	}
}

static void serve_epoll(int fd)
{
	int set = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	if (fcntl(fd, F_SETFL, O_NONBLOCK) || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
	for (;;) {
		if (epoll_wait(set, &event, 1, -1) < 0)
			die("epoll_wait");
		serve_one_try(fd);
	}
}

static void *bind_here(void *fd)
{
	*(int *)fd = listening();
	return NULL;
}

static void in_thread(void)
{
	pthread_t thread;
	int fd;
	pthread_create(&thread, NULL, bind_here, &fd);
	pthread_join(thread, NULL);
	serve(fd);
}

static void prefork(void)
{
	int fd = listening();
	for (int i = 0; i < 2; i++)
		if (fork() == 0)
			serve(fd);
	wait(NULL);
}

static void fork_first(void)
{
	for (int i = 0; i < 2; i++)
		if (fork() == 0)
			serve(listening());
	wait(NULL);
}

static void relisten(void)
{
	for (int i = 0; i < 300; i++)
		close(listening());
	serve(listening());
}

static void twice(void)
{
	int first = listening(), second = listening();
	close(first);
	serve(second);
}

static void unprivileged(void)
{
	if (setgid(65534) || setuid(65534))
		die("setuid");
	serve(listening());
}

static void flags(void)
{
	int fd = listening(), off = 0, on = 1;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	say("wish_fcntl", !!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	ioctl(fd, FIONBIO, &off);
	say("wish_ioctl", !!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	ioctl(fd, FIONBIO, &on);
	say("accept", accept(fd, NULL, NULL));
	say("errno_is_eagain", errno == EAGAIN);
	fcntl(fd, F_SETFL, 0);
	serve(fd);
}

static void backlog(void)
{
	int fd = listening(), accepting = 0;
	struct tcp_info info;
	socklen_t length = sizeof accepting;
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &length);
	say("accepting", accepting);
	length = sizeof info;
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	say("backlog", info.tcpi_sacked);
	serve(fd);
}

static void duplicates(void)
{
	int first = listening(), second = dup(first), third = fcntl(second, F_DUPFD, 50), fourth = 60;
	dup2(third, fourth);
	close(first);
	close(second);
	close(third);
	fcntl(fourth, F_SETFL, 0);
	serve(fourth);
}

/* Datagrams are answered "<pid> <what came>", so that replies can be told apart. */
static void udp(void)
{
	int fd = local(SOCK_DGRAM);
	for (;;) {
		char text[64], reply[128];
		struct sockaddr_storage from;
		socklen_t length = sizeof from;
		ssize_t size = recvfrom(fd, text, sizeof text - 1, 0, (struct sockaddr *)&from, &length);
		if (size < 0)
			die("recvfrom");
		text[size] = 0;
		int all = snprintf(reply, sizeof reply, "%d %s", getpid(), text);
		usleep(2000);
		if (sendto(fd, reply, all, 0, (struct sockaddr *)&from, length) < 0)
			die("sendto");
	}
}

static void udp_message(void)
{
	int fd = bind_inet(SOCK_DGRAM, INADDR_ANY);
	char text[64], reply[128];
	struct sockaddr_in from = {0};
	struct iovec data = {text, sizeof text};
	struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &data, .msg_iovlen = 1};
	if (recvmsg(fd, &message, 0) < 0)
		die("recvmsg");
	say("family_is_inet", from.sin_family == AF_INET && message.msg_namelen == sizeof from);
	say("from_loopback", ntohl(from.sin_addr.s_addr) == INADDR_LOOPBACK);
	int all = snprintf(reply, sizeof reply, "%d\n", getpid());
	sendto(fd, reply, all, 0, (struct sockaddr *)&from, sizeof from);
}

static int bind_unix(int type)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type, 0);
	strcpy(name.sun_path, where);
	if (unlink(where) && errno != ENOENT)
		die("unlink");
	if (bind(fd, (struct sockaddr *)&name, sizeof name))
		die("bind");
	return fd;
}

static void unix_stream(void)
{
	int fd = bind_unix(SOCK_STREAM);
	if (listen(fd, 1))
		die("listen");
	serve(fd);
}

static void unix_datagram(void)
{
	char text[64];
	int fd = bind_unix(SOCK_DGRAM);
	ssize_t size = recv(fd, text, sizeof text, 0);
	say("received", size);
}

static void any_address(void)
{
	struct sockaddr_in in = {0};
	socklen_t length = sizeof in;
	int fd = bind_inet(SOCK_STREAM, INADDR_ANY), connection;
	listen(fd, 1);
	getsockname(fd, (struct sockaddr *)&in, &length);
	say("own_family_is_inet", in.sin_family == AF_INET && length == sizeof in);
	say("own_port", ntohs(in.sin_port));
	connection = accept(fd, (struct sockaddr *)&in, &length);
	say("peer_family_is_inet", in.sin_family == AF_INET && length == sizeof in);
	say("peer_is_loopback", ntohl(in.sin_addr.s_addr) == INADDR_LOOPBACK);
	memset(&in, 0, sizeof in);
	getpeername(connection, (struct sockaddr *)&in, &length);
	say("getpeername_is_inet", in.sin_family == AF_INET);
	getsockname(connection, (struct sockaddr *)&in, &length);
	say("getsockname_is_inet", in.sin_family == AF_INET && ntohs(in.sin_port) == port);
	answer(connection);
}

static void receive_timeout(void)
{
	int fd = listening();
	struct timeval time = {.tv_usec = 50000};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
	say("accept", accept(fd, NULL, NULL));
	say("errno_is_eagain", errno == EAGAIN);
}

static volatile sig_atomic_t alarms;
static void on_alarm(int signal) { alarms++; (void)signal; }

static void interrupted(void)
{
	struct sigaction action = {.sa_handler = on_alarm};
	int fd = listening();
	sigaction(SIGALRM, &action, NULL);
	ualarm(50000, 0);
	say("accept", accept(fd, NULL, NULL));
	say("errno_is_eintr", errno == EINTR);
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	ualarm(50000, 0);
	say("waiting", 1);
	answer(accept(fd, NULL, NULL));
	say("alarms", alarms);
}

static void shut_down(void)
{
	int fd = listening();
	say("shutdown", shutdown(fd, SHUT_RDWR));
	say("accept", accept(fd, NULL, NULL));
	say("errno_is_einval", errno == EINVAL);
}

static void execute(void)
{
	char *arguments[] = {"sh", "-c", "env; ls -l /proc/self/fd", NULL};
	fcntl(listening(), F_SETFD, FD_CLOEXEC);
	execvp("sh", arguments);
}

static void close_all(void)
{
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	closefrom(3);
	close_range(3, ~0u, 0);
	serve(listening());
}

/* The C library closes the descriptor behind everybody's back, and a file gets its number. */
static void stale(void)
{
	int fd = listening();
	fclose(fdopen(fd, "r"));
	int pair[2];
	if (pipe(pair) || (pair[0] != fd && pair[1] != fd))
		die("pipe");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	char text[64], file[32];
	snprintf(file, sizeof file, "/proc/self/fdinfo/%d", fd);
	FILE *info = fopen(file, "r");
	unsigned real = 0;
	while (fgets(text, sizeof text, info))
		sscanf(text, "flags: %o", &real);
	say("really_nonblocking", !!(real & O_NONBLOCK));
	serve(listening());
}

/* A vfork() child that closes everything must not make its parent forget. */
static void vforked(void)
{
	int fd = listening();
	if (vfork() == 0) {
		close(fd);
		close_range(3, ~0u, 0);
		execlp("true", "true", NULL);
		_exit(1);
	}
	wait(NULL);
	serve(fd);
}

static void on_term(int signal)
{
	(void)signal;
	_exit(7);
}

static void own_handler(void)
{
	struct sigaction action = {0}, old = {0};
	int fd = listening();
	sigaction(SIGTERM, NULL, &old);
	say("seen_as_default", old.sa_handler == SIG_DFL);
	say("signal_says_default", signal(SIGTERM, SIG_DFL) == SIG_DFL);
	action.sa_handler = on_term;
	sigaction(SIGTERM, &action, &old);
	say("old_is_default", old.sa_handler == SIG_DFL);
	serve(fd);
}

/* One request takes a while; meanwhile the program is in poll(), which it believes nobody interrupts. */
static void *slowly(void *connection)
{
	char text[64];
	if (read((int)(long)connection, text, sizeof text) > 0) {
		poll(NULL, 0, 700);
		answer((int)(long)connection);
	} else {
		say("told_to_go", 1);
		close((int)(long)connection);
	}
	return NULL;
}

static void serve_slowly(int fd)
{
	for (;;) {
		struct pollfd entry = {fd, POLLIN, 0};
		if (poll(&entry, 1, -1) < 0)
			die("poll");
		int connection = accept(fd, NULL, NULL);
		pthread_t thread;
		if (connection < 0)
			continue;
		say("accepted", 1);
		pthread_create(&thread, NULL, slowly, (void *)(long)connection);
	}
}

static void slow(void) { serve_slowly(listening()); }

static void slow_workers(void)
{
	int fd = listening();
	for (int i = 0; i < 2; i++)
		if (fork() == 0)
			serve_slowly(fd);
	say("workers", 2);
	while (wait(NULL) > 0)
		;
}

/* Forks while it drains. */
static void forks_late(void)
{
	int status, pid, connection = accept(listening(), NULL, NULL);
	say("accepted", 1);
	getchar();
	pid = fork();
	if (pid == 0) {
		close(connection);
		for (;;)
			pause();
	}
	say("child", pid);
	waitpid(pid, &status, 0);
	say("signal", WTERMSIG(status));
	answer(connection);
}

/* Takes its listener from systemd by itself, blocks on it, and wants a short queue. */
static void native(void)
{
	int fd = fcntl(3, F_DUPFD_CLOEXEC, 10);
	struct tcp_info info;
	socklen_t length = sizeof info;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	if (listen(fd, 1))
		die("listen");
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	say("backlog", info.tcpi_sacked);
	serve(fd);
}

/* The same for one that only ever waits for the inherited descriptor. */
static void native_epoll(void) { serve_epoll(3); }

static void native_poll(void) { serve_poll(3); }

static void udp_slow(void)
{
	int fd = local(SOCK_DGRAM);
	char text[64];
	struct sockaddr_in from;
	for (;;) {
		socklen_t length = sizeof from;
		ssize_t size = recvfrom(fd, text, sizeof text, 0, (struct sockaddr *)&from, &length);
		if (size < 0)
			die("recvfrom");
		say("received", size);
		usleep(200000);
		if (sendto(fd, text, size, 0, (struct sockaddr *)&from, length) < 0)
			die("sendto");
	}
}

/* Answers over and over on one connection, each connection with another function. */
static void *keeps_alive(void *argument)
{
	static int connections;
	int fd = (long)argument, function = __sync_fetch_and_add(&connections, 1) % 4;
	char request, text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	struct iovec parts[] = {{text, strlen(text) - 5}, {text + strlen(text) - 5, 5}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t size = strlen(text), sent = 0;
	while (read(fd, &request, 1) == 1) {
		say("request", function);
		usleep(600000);
		switch (function) {
		case 0: sent = write(fd, text, size); break;
		case 1: sent = send(fd, text, size, MSG_NOSIGNAL); break;
		case 2: sent = writev(fd, parts, 2); break;
		case 3: sent = sendmsg(fd, &message, MSG_NOSIGNAL); break;
		}
		if (sent != size)
			die("sent");
	}
	close(fd);
	return NULL;
}

static void keep_alive(void)
{
	int fd = listening();
	for (;;) {
		int connection = accept(fd, NULL, NULL);
		pthread_t thread;
		if (connection < 0)
			die("accept");
		pthread_create(&thread, NULL, keeps_alive, (void *)(long)connection);
	}
}

/* Every thread has a socket of its own, as SO_REUSEPORT is meant. */
static void *reuse(void *unused)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on))
		die("setsockopt");
	if (bind(fd, (struct sockaddr *)&in, sizeof in) || listen(fd, 1))
		die("bind");
	serve(fd);
	return unused;
}

static void reuseport(void)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, reuse, NULL);
	pthread_join(threads[0], NULL);
}

/* Forked without fork(), as the C library does it in daemon(); its end is reported. */
static void silent_fork(void)
{
	int status, pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		int fd = listening(), again = dup(fd);
		close(fd);
		serve(again);
	}
	say("child", pid);
	waitpid(pid, &status, 0);
	say("exited", WIFEXITED(status));
	say("status", WEXITSTATUS(status));
}

/* Waits with a timeout for a while, and then in accept(). */
static void poll_then_block(void)
{
	int fd = listening(), on = 1, off = 0;
	struct pollfd entry = {fd, POLLIN, 0};
	ioctl(fd, FIONBIO, &on);
	say("poll", poll(&entry, 1, 10));
	ioctl(fd, FIONBIO, &off);
	serve(fd);
}

static void *accepting(void *fd)
{
	accept(*(int *)fd, NULL, NULL);
	return NULL;
}

/* A thread that waits in accept() is cancelled, and leaves nothing behind. */
static void cancelled(void)
{
	pthread_t thread;
	void *result;
	int fd = listening();
	pthread_create(&thread, NULL, accepting, &fd);
	/* By then it waits in accept(); if it does not yet, the call itself is cancelled. */
	usleep(100000);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	say("cancelled", result == PTHREAD_CANCELED);
	serve(fd);
}

/* Calls that succeed leave errno alone. */
static void errno_kept(void)
{
	struct sockaddr_in in;
	socklen_t length = sizeof in;
	struct pollfd entry = {.events = POLLIN};
	errno = 4711;
	int fd = bind_inet(SOCK_STREAM, INADDR_LOOPBACK), on = 1;
	listen(fd, 5);
	entry.fd = dup(fd);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	ioctl(fd, FIONBIO, &on);
	getsockname(fd, (struct sockaddr *)&in, &length);
	poll(&entry, 1, 10);
	close(entry.fd);
	unlink("/proc/self/clusterctl/notify/STATUS=fine");
	fcntl(fd, F_SETFL, 0);
	say("errno", errno);
	int connection = accept(fd, NULL, NULL);
	say("errno", errno);
	answer(connection);
}

#ifdef __GLIBC__
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __read_chk(int, void *, size_t, size_t);

/* Each function that receives waits, in the form that fortified programs call as well. */
static void receives(void)
{
	int fd = local(SOCK_DGRAM);
	char text[64];
	struct sockaddr_in from;
	socklen_t length = sizeof from;
	struct iovec part = {text, sizeof text};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	say("recvfrom_chk", __recvfrom_chk(fd, text, 64, 64, 0, (struct sockaddr *)&from, &length));
	say("recv_chk", __recv_chk(fd, text, 64, 64, 0));
	say("read_chk", __read_chk(fd, text, 64, 64));
	say("readv", readv(fd, &part, 1));
	say("recvmsg", recvmsg(fd, &message, 0));
	say("recv", recv(fd, text, 64, 0));
	say("connect", connect(fd, (struct sockaddr *)&from, length));
	say("errno_is_eopnotsupp", errno == EOPNOTSUPP);
	struct mmsghdr reply = {.msg_hdr = {&from, length, &part, 1, NULL, 0, 0}};
	part.iov_len = 3;
	say("sendmmsg", sendmmsg(fd, &reply, 1, 0));
}
#else
static void receives(void) {}
#endif

#ifdef __GLIBC__
/* From its first client on, a single question for its process number ends it. */
static void never_asks(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
	int fd = listening();
	answer(accept(fd, NULL, NULL));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		die("seccomp");
	for (;;) {
		int connection = accept(fd, NULL, NULL);
		if (write(connection, "fine\n", 5) != 5)
			die("write");
		close(connection);
	}
}
#else
static void never_asks(void) {}
#endif

/* Addresses that lead nowhere are the kernel's to refuse. */
static void bad_pointers(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	const char *nowhere = (const char *)16;
	say("bind", bind(fd, (const struct sockaddr *)nowhere, 16));
	say("errno_is_efault", errno == EFAULT);
	errno = 0;
	say("unlink", unlink(nowhere));
	say("errno_is_efault", errno == EFAULT);
	serve(listening());
}

/* A vfork() child closes a connection: the parent's is what it was. */
static void vfork_closes(void)
{
	struct sockaddr_in in = {0};
	socklen_t length = sizeof in;
	int fd = bind_inet(SOCK_STREAM, INADDR_ANY);
	listen(fd, 1);
	int connection = accept(fd, NULL, NULL);
	if (vfork() == 0) {
		close(connection);
		_exit(0);
	}
	wait(NULL);
	getpeername(connection, (struct sockaddr *)&in, &length);
	say("peer_family_is_inet", in.sin_family == AF_INET);
	answer(connection);
}

/* Two processes, a listener each. */
static void one_each(void)
{
	for (int i = 0; i < 2; i++) {
		if (fork() == 0)
			serve(listening());
		if (i == 0) {
			say("first", 1);
			getchar();
		}
		port = atoi(strchr(where, ',') + 1);
	}
	wait(NULL);
}

static int told[2];

static void tell(int signal) { (void)!write(told[1], &signal, 1); }

/* Ends by the signal itself, when it has cleaned up: what libraries call emulating the default. */
static void *ends_by_the_signal(void *unused)
{
	char byte;
	while (read(told[0], &byte, 1) != 1)
		;
	say("cleaned_up", 1);
	signal(SIGTERM, SIG_DFL);
	raise(SIGTERM);
	say("came_back", 1);
	abort();
	return unused;
}

static void raises(void)
{
	int fd = listening();
	pthread_t thread;
	if (pipe(told))
		die("pipe");
	signal(SIGTERM, tell);
	pthread_create(&thread, NULL, ends_by_the_signal, NULL);
	for (;;) {
		int connection = accept(fd, NULL, NULL);
		if (connection < 0)
			die("accept");
		say("accepted", 1);
		pthread_create(&thread, NULL, slowly, (void *)(long)connection);
	}
}

static void raise_again(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

/* The same with one thread. Its connection stays open. */
static void raises_alone(void)
{
	struct sigaction action = {.sa_handler = raise_again, .sa_flags = SA_NODEFER};
	int fd = listening();
	sigaction(SIGTERM, &action, NULL);
	accept(fd, NULL, NULL);
	say("accepted", 1);
	for (;;)
		pause();
}

/* Two listeners: ready is when both are taken. */
static void two_ports(void)
{
	int fd = listening();
	say("first", 1);
	getchar();
	port = atoi(strchr(where, ',') + 1);
	listening();
	say("second", 1);
	serve(fd);
}

static const struct {
	const char *name;
	void (*run)(void);
} modes[] = {
	{"thread", in_thread}, {"prefork", prefork}, {"fork-first", fork_first}, {"relisten", relisten},
	{"twice", twice}, {"unprivileged", unprivileged}, {"flags", flags}, {"backlog", backlog},
	{"duplicates", duplicates}, {"udp", udp}, {"udp-message", udp_message}, {"unix", unix_stream},
	{"unix-datagram", unix_datagram}, {"any", any_address},
	{"receive-timeout", receive_timeout}, {"interrupted", interrupted},
	{"shutdown", shut_down}, {"execute", execute}, {"close-all", close_all}, {"stale", stale},
	{"vforked", vforked}, {"own-handler", own_handler}, {"slow", slow}, {"slow-workers", slow_workers},
	{"forks-late", forks_late}, {"two-ports", two_ports},
	{"native", native}, {"native-epoll", native_epoll}, {"native-poll", native_poll},
	{"udp-slow", udp_slow}, {"keep-alive", keep_alive}, {"reuseport", reuseport},
	{"silent-fork", silent_fork}, {"poll-then-block", poll_then_block}, {"cancelled", cancelled},
	{"never-asks", never_asks},
	{"errno", errno_kept}, {"receives", receives}, {"vfork-closes", vfork_closes},
	{"bad-pointers", bad_pointers},
	{"one-each", one_each}, {"raises", raises}, {"raises-alone", raises_alone},
};

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	where = argv[2];
	port = atoi(where);
	if (!strcmp(argv[1], "blocking"))
		serve(listening());
	if (!strcmp(argv[1], "poll"))
		serve_poll(listening());
	if (!strcmp(argv[1], "select"))
		serve_select(listening());
	if (!strcmp(argv[1], "epoll"))
		serve_epoll(listening());
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		if (!strcmp(argv[1], modes[i].name)) {
			modes[i].run();
			return 0;
		}
	return 2;
}
