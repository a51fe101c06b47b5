/* Replays prepared, already signed HTTP/1.1 requests over keep-alive connections from one epoll thread.
 *
 *   loadgen PORT CONNECTIONS PLAN BYTES RESULT SECONDS MAXIMUM LOOP
 *
 * PLAN is an array of struct request, offsets into the file BYTES, which holds heads and bodies. RESULT gets a struct
 * summary and an array of struct outcome, one per finished request. LOOP 1 starts the plan again at its end; the run
 * ends after SECONDS or MAXIMUM requests (0: no maximum). What is under way then is finished and counted.
 *
 * The client must not be what is measured: heads and bodies come from a mapped file, long bodies leave by sendfile, and
 * bodies of answers are dropped in the kernel (MSG_TRUNC).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct request { uint64_t head, body, body_size; uint32_t head_size, bodiless; };
struct outcome { uint64_t nanoseconds, bytes; uint32_t request, status; };
struct summary { uint64_t nanoseconds, requests, reconnects, failures; };

#define HEAD_ROOM 65536
#define BY_SENDFILE 65536

enum phase { SENDING, HEAD, LENGTH, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, UNTIL_CLOSE };

struct connection {
    int socket, wants_out, fresh, closes;
    enum phase phase;
    uint32_t request, status;
    uint64_t sent, left, received, started;
    size_t used;
    char head[HEAD_ROOM + 1];
};

static struct sockaddr_in address;
static const struct request *plan;
static const char *bytes;
static struct outcome *outcomes;
static uint64_t planned, taken, finished, maximum, room, reconnects, failures, deadline;
static int poller, bytes_file, loops, busy;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void die(const char *what) { perror(what); exit(2); }

static void dial(struct connection *c) {
    for (int attempt = 0; attempt < 200; attempt++) {
        int one = 1;
        c->socket = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(c->socket, (struct sockaddr *)&address, sizeof address) == 0) {
            fcntl(c->socket, F_SETFL, O_NONBLOCK);
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
            epoll_ctl(poller, EPOLL_CTL_ADD, c->socket, &event);
            c->wants_out = 0;
            c->fresh = 1;
            return;
        }
        close(c->socket);
        usleep(5000);
    }
    die("connect");
}

static void watch(struct connection *c, int out) {
    if (c->wants_out == out) return;
    struct epoll_event event = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->socket, &event);
    c->wants_out = out;
}

/* 1: all is sent, 0: the socket is full, -1: the connection broke. */
static int send_some(struct connection *c) {
    const struct request *r = &plan[c->request];
    uint64_t total = r->head_size + r->body_size;
    while (c->sent < total) {
        ssize_t n;
        if (c->sent < r->head_size || r->body_size < BY_SENDFILE) {
            int in_head = c->sent < r->head_size;
            uint64_t in_body = in_head ? 0 : c->sent - r->head_size;
            uint64_t body = r->body_size < BY_SENDFILE ? r->body_size - in_body : 0;
            struct iovec parts[2] = {
                {(void *)(bytes + r->head + c->sent), in_head ? r->head_size - c->sent : 0},
                {(void *)(bytes + r->body + in_body), body},
            };
            struct msghdr message = {.msg_iov = parts + !in_head, .msg_iovlen = 1 + (in_head && body)};
            n = sendmsg(c->socket, &message, MSG_NOSIGNAL);
        } else {
            off_t at = r->body + c->sent - r->head_size;
            n = sendfile(c->socket, bytes_file, &at, total - c->sent);
        }
        if (n < 0 && errno == EAGAIN) { watch(c, 1); return 0; }
        if (n <= 0) return -1;
        c->sent += n;
    }
    watch(c, 0);
    return 1;
}

static void restart(struct connection *c) {
    c->phase = SENDING;
    c->sent = c->received = c->used = c->status = c->closes = 0;
}

static void retry(struct connection *c) {
    close(c->socket);
    reconnects++;
    dial(c);
    restart(c);
}

/* Take the next request, or rest. */
static void begin(struct connection *c) {
    if ((maximum && taken >= maximum) || (!loops && taken >= planned) || now() >= deadline) {
        close(c->socket);
        c->socket = -1;
        busy--;
        return;
    }
    c->request = taken++ % planned;
    restart(c);
    c->started = now();
    if (send_some(c) < 0) retry(c), send_some(c);
    if (c->sent == plan[c->request].head_size + plan[c->request].body_size) c->phase = HEAD;
}

static void finish(struct connection *c) {
    if (finished < room)
        outcomes[finished++] = (struct outcome){now() - c->started, c->received, c->request, c->status};
    c->fresh = 0;
    if (c->closes) {
        close(c->socket);
        reconnects++;
        dial(c);
    }
    begin(c);
}

static void fail(struct connection *c) {
    /* An idle connection that the server closed is the server's right; anything else is a failure. */
    if (c->fresh || c->received || c->used) {
        failures++;
        c->status = 0;
        c->closes = 1;
        finish(c);
        return;
    }
    retry(c);
    c->phase = send_some(c) == 1 ? HEAD : SENDING;
}

static const char *header(const char *head, const char *name) {
    size_t size = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, size) == 0 && line[2 + size] == ':') return line + 3 + size;
    return NULL;
}

static void read_head(struct connection *c) {
    const char *length = header(c->head, "content-length"), *coding = header(c->head, "transfer-encoding");
    const char *connection = header(c->head, "connection");
    c->status = atoi(c->head + 9);
    c->closes = connection && strcasestr(connection, "close") && strcasestr(connection, "close") < strstr(connection, "\r\n");
    if (plan[c->request].bodiless || c->status == 204 || c->status == 304) c->phase = LENGTH, c->left = 0;
    else if (coding && strcasestr(coding, "chunked")) c->phase = CHUNK_SIZE;
    else if (length) c->phase = LENGTH, c->left = strtoull(length, NULL, 10);
    else c->phase = UNTIL_CLOSE, c->closes = 1;
}

/* A line of the chunked framing, 1 when it is whole. */
static int read_line(struct connection *c) {
    char byte;
    while (recv(c->socket, &byte, 1, 0) == 1) {
        if (byte == '\n') { c->head[c->used] = 0; c->used = 0; return 1; }
        if (c->used < HEAD_ROOM) c->head[c->used++] = byte;
    }
    return 0;
}

/* Peek at the head, so that the body stays in the kernel. 1: the head is whole; 0: wait; -1: broken. */
static int receive_head(struct connection *c) {
    ssize_t n = recv(c->socket, c->head, HEAD_ROOM, MSG_PEEK);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    if (n == 0) return -1;
    c->head[n] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) return n == HEAD_ROOM ? -1 : 0;
    recv(c->socket, c->head, end + 4 - c->head, 0);
    end[4] = 0;
    c->used = 0;
    read_head(c);
    return 1;
}

/* Drop up to ``left`` bytes. 1: done, 0: wait, -1: broken. */
static int drop(struct connection *c) {
    static char nowhere[1 << 20];
    while (c->left) {
        ssize_t n = recv(c->socket, nowhere, c->left < sizeof nowhere ? c->left : sizeof nowhere, MSG_TRUNC);
        if (n < 0) return errno == EAGAIN ? 0 : -1;
        if (n == 0) return -1;
        c->left -= n;
        c->received += n;
    }
    return 1;
}

static void receive(struct connection *c) {
    for (;;) {
        int step;
        switch (c->phase) {
        case SENDING: /* an answer before the body is sent: an error, then the connection is of no use */
        case HEAD:
            if ((step = receive_head(c)) < 0) { fail(c); return; }
            if (!step) return;
            if (c->sent < plan[c->request].head_size + plan[c->request].body_size) c->closes = 1;
            break;
        case LENGTH:
            if ((step = drop(c)) < 0) { fail(c); return; }
            if (step) finish(c);
            return;
        case CHUNK_SIZE:
            if (!read_line(c)) return;
            c->left = strtoull(c->head, NULL, 16);
            c->phase = c->left ? CHUNK : TRAILER;
            break;
        case CHUNK:
            if ((step = drop(c)) < 0) { fail(c); return; }
            if (!step) return;
            c->phase = CHUNK_END;
            break;
        case CHUNK_END:
            if (!read_line(c)) return;
            c->phase = CHUNK_SIZE;
            break;
        case TRAILER:
            if (!read_line(c)) return;
            if (c->head[0] == '\r' || !c->head[0]) { finish(c); return; }
            break;
        case UNTIL_CLOSE:
            c->left = UINT64_MAX;
            if (drop(c) < 0) finish(c);
            return;
        }
    }
}

static void *map(const char *path, int *file, size_t *size) {
    struct stat stat;
    *file = open(path, O_RDONLY);
    if (*file < 0 || fstat(*file, &stat) < 0) die(path);
    *size = stat.st_size;
    void *at = mmap(NULL, *size, PROT_READ, MAP_SHARED, *file, 0);
    if (at == MAP_FAILED) die("mmap");
    return at;
}

static void save(const char *path, uint64_t took) {
    FILE *file = fopen(path, "wb");
    struct summary summary = {took, finished, reconnects, failures};
    if (!file || fwrite(&summary, sizeof summary, 1, file) != 1) die(path);
    if (finished && fwrite(outcomes, sizeof *outcomes, finished, file) != finished) die(path);
    if (fclose(file)) die(path);
}

int main(int count, char **words) {
    if (count != 9) { fprintf(stderr, "loadgen PORT CONNECTIONS PLAN BYTES RESULT SECONDS MAXIMUM LOOP\n"); return 2; }
    int connections = atoi(words[2]), plan_file;
    size_t plan_size, bytes_size;
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    plan = map(words[3], &plan_file, &plan_size);
    bytes = map(words[4], &bytes_file, &bytes_size);
    planned = plan_size / sizeof *plan;
    maximum = strtoull(words[7], NULL, 10);
    loops = atoi(words[8]);
    room = maximum ? maximum : loops ? 4000000 : planned;
    outcomes = malloc(room * sizeof *outcomes);
    struct connection *all = calloc(connections, sizeof *all);
    if (!outcomes || !all) die("malloc");
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(0);
    for (int i = 0; i < connections; i++) dial(&all[i]);
    busy = connections;
    uint64_t start = now();
    deadline = start + (uint64_t)(atof(words[6]) * 1e9);
    for (int i = 0; i < connections; i++) begin(&all[i]);
    while (busy) {
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, 60000);
        if (n == 0) { fprintf(stderr, "the server does not answer\n"); return 3; }
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->socket < 0) continue;
            if ((events[i].events & EPOLLOUT) && c->phase == SENDING) {
                int step = send_some(c);
                if (step < 0) { fail(c); continue; }
                if (step) c->phase = HEAD;
            }
            if (c->socket >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
        }
    }
    save(words[5], now() - start);
    return 0;
}
