/* A server that would not serve if it saw LISTEN_FDS, as uWSGI. usage: misreader PORT */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	struct sockaddr_in name = {.sin_family = AF_INET};
	int listener = socket(AF_INET, SOCK_STREAM, 0), client;
	if (count < 2)
		return 2;
	printf("sees=%d\n", getenv("LISTEN_FDS") != NULL || getenv("LISTEN_FDNAMES") != NULL);
	fflush(stdout);
	name.sin_port = htons(atoi(arguments[1]));
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&name, sizeof name) || listen(listener, 5))
		return 1;
	client = accept(listener, NULL, NULL);
	return write(client, "served", 6) != 6;
}
