/* The ceiling of a mail server: prepared bytes, pipelined one message ahead over several connections, nothing kept.

   usage: ceiling PORT BYTES MESSAGES CONNECTIONS

   Each connection writes the content of a message and the commands of the next in one write, and goes on once four
   replies are there (RFC 2920). It personalises nothing and records nothing: what is left above it is the server's. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_BYTES 4096
#define CONNECTIONS_MAX 100
#define BODY_LINE_BYTES 78

static const char GROUP[] = "MAIL FROM:<tips@news.example.com>\r\nRCPT TO:<reader@example.com>\r\nDATA\r\n";

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void write_all(int sock, const char *data, size_t length) {
    while (length > 0) {
        ssize_t written = write(sock, data, length);
        if (written < 0)
            fail("write");
        data += written;
        length -= (size_t)written;
    }
}

/* Read what is there; return the number of line ends, and refuse a reply of 4yz or 5yz. */
static int read_lines(int sock, int *at_start) {
    char data[REPLY_BYTES];
    ssize_t length = read(sock, data, sizeof data);
    if (length <= 0)
        fail("read");
    int lines = 0;
    for (ssize_t at = 0; at < length; at++) {
        if (*at_start && (data[at] == '4' || data[at] == '5')) {
            fprintf(stderr, "the server refused a message\n");
            exit(1);
        }
        *at_start = data[at] == '\n';
        lines += *at_start;
    }
    return lines;
}

static int open_session(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int sock = socket(AF_INET, SOCK_STREAM, 0);
    if (sock < 0 || connect(sock, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
    int on = 1;
    setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    char data[REPLY_BYTES];
    if (read(sock, data, sizeof data) <= 0)
        fail("greeting");
    write_all(sock, "EHLO localhost\r\n", 16);
    /* The last line of the reply to EHLO has a blank behind its code. */
    size_t known = 0;
    while (known < sizeof data - 1) {
        ssize_t length = read(sock, data + known, sizeof data - 1 - known);
        if (length <= 0)
            fail("EHLO");
        known += (size_t)length;
        data[known] = '\0';
        char *line = data, *next;
        while ((next = strchr(line, '\n')) != NULL) {
            if (strlen(line) > 3 && line[3] == ' ')
                return sock;
            line = next + 1;
        }
    }
    fail("EHLO");
    return -1;
}

int main(int count, char **arguments) {
    if (count != 5) {
        fprintf(stderr, "usage: ceiling PORT BYTES MESSAGES CONNECTIONS\n");
        return 2;
    }
    int port = atoi(arguments[1]), connections = atoi(arguments[4]);
    long size = atol(arguments[2]), messages = atol(arguments[3]);
    if (connections < 1 || connections > CONNECTIONS_MAX || size < 1 || messages < connections)
        return 2;
    /* The content, its dot, and the commands of the next message, as one piece. */
    char *piece = malloc((size_t)size + sizeof GROUP + 8);
    long at;
    for (at = 0; at < size - 2; at++)
        piece[at] = at % BODY_LINE_BYTES == BODY_LINE_BYTES - 2 ? '\r' : at % BODY_LINE_BYTES == BODY_LINE_BYTES - 1 ? '\n' : 'x';
    memcpy(piece + at, "\r\n.\r\n", 5);
    long content = at + 5;
    memcpy(piece + content, GROUP, sizeof GROUP - 1);
    size_t whole = (size_t)content + sizeof GROUP - 1;

    struct pollfd polled[CONNECTIONS_MAX];
    int missing[CONNECTIONS_MAX], at_start[CONNECTIONS_MAX];
    long left[CONNECTIONS_MAX];
    for (int number = 0; number < connections; number++) {
        polled[number] = (struct pollfd){.fd = open_session(port), .events = POLLIN};
        write_all(polled[number].fd, GROUP, sizeof GROUP - 1);
        missing[number] = 3;
        at_start[number] = 1;
        left[number] = messages / connections;
    }
    int running = connections;
    while (running > 0) {
        if (poll(polled, (nfds_t)connections, 60000) <= 0)
            fail("poll");
        for (int number = 0; number < connections; number++) {
            if (!(polled[number].revents & (POLLIN | POLLHUP | POLLERR)))
                continue;
            missing[number] -= read_lines(polled[number].fd, &at_start[number]);
            if (missing[number] > 0)
                continue;
            if (left[number] == 0) {
                close(polled[number].fd);
                polled[number].fd = -1;
                running--;
                continue;
            }
            left[number]--;
            write_all(polled[number].fd, piece, left[number] > 0 ? whole : (size_t)content);
            missing[number] = left[number] > 0 ? 4 : 1;
        }
    }
    free(piece);
    return 0;
}
