/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's program for the tests of published ports: says the protocol and its own port to whoever connects (and says nothing: it
 * speaks first) or sends a datagram.
 * port-server PORT... : of each the TCP and the UDP port, over IPv4 and IPv6. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS_MAX 16

static int bound(int type, uint16_t port) {
        struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        int fd = socket(AF_INET6, type, 0), off = 0;

        if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0 ||
                bind(fd, (struct sockaddr *) &a, sizeof a) < 0 || (type == SOCK_STREAM && listen(fd, 16) < 0)) {
                perror("port-server");
                exit(EXIT_FAILURE);
        }
        return fd;
}

static void answer_tcp(int listening, const char *port) {
        int fd = accept(listening, NULL, NULL);

        if (fd < 0)
                return;
        (void) dprintf(fd, "tcp %s\n", port);
        (void) close(fd);
}

static void answer_udp(int fd, const char *port) {
        struct sockaddr_in6 from;
        socklen_t len = sizeof from;
        char text[64];

        if (recvfrom(fd, text, sizeof text, 0, (struct sockaddr *) &from, &len) < 0)
                return;
        (void) snprintf(text, sizeof text, "udp %s\n", port);
        (void) sendto(fd, text, strlen(text), 0, (struct sockaddr *) &from, len);
}

int main(int argc, char *argv[]) {
        struct pollfd fds[2 * PORTS_MAX];
        int n = argc - 1;

        if (n < 1 || n > PORTS_MAX)
                return EXIT_FAILURE;
        for (int i = 0; i < n; i++) {
                fds[2 * i] = (struct pollfd){.fd = bound(SOCK_STREAM, (uint16_t) atoi(argv[i + 1])), .events = POLLIN};
                fds[2 * i + 1] = (struct pollfd){.fd = bound(SOCK_DGRAM, (uint16_t) atoi(argv[i + 1])), .events = POLLIN};
        }
        while (poll(fds, (nfds_t) (2 * n), -1) > 0)
                for (int i = 0; i < n; i++) {
                        if (fds[2 * i].revents)
                                answer_tcp(fds[2 * i].fd, argv[i + 1]);
                        if (fds[2 * i + 1].revents)
                                answer_udp(fds[2 * i + 1].fd, argv[i + 1]);
                }
        return EXIT_FAILURE;
}
