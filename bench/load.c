/* The load: a crowd of sockets that listen, publishers that post, and a count of every message (docs/performance.md).
 *
 * One process, one thread, one epoll. It knows no product: what it says to a server are templates on its command line, and every
 * message carries its number as @00000042@, which is all that is looked for in what comes back.
 *
 *   {n} the message's number   {i} the index of the socket it is from, or for   {t} that socket's line of --tickets
 *   {h} a number that is the message's own and tells nothing of its order, in hexadecimal
 *   {l} the body's length      {r} the number that stands behind --ack-key, or behind --ping; in what a publisher says, its own
 *
 * Connects, says so on standard output, then does what standard input asks, one line each, and answers each with a line of JSON:
 *
 *   probe                          publish one, and learn how many messages each listener gets of it
 *   alone COUNT                    one at a time: how long until the last listener has it
 *   max PUBLISHERS SECONDS [BATCH] closed loop: each publisher posts again once it is answered
 *   rate PER_SECOND PUBLISHERS SECONDS   open loop: the schedule does not wait, and latency counts from the scheduled time
 *   idle SECONDS                   listen, and answer pings
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { NUMBERS_MAX = 1 << 23, COPIES_KEPT = 1 << 18, PUBLISHERS_MAX = 256, BATCH_MAX = 1000, DIGITS = 8 };
enum { MARK = DIGITS + 2, PART_MAX = 1 << 16, CONNECTING_MAX = 64, EVENTS_MAX = 512, SILENCE_S = 3, DRAIN_S = 30 };

typedef enum { LISTENER, PUBLISHER, FOLLOWER, STUCK } Role;

typedef struct {
    int fd;
    Role role;
    uint32_t index;
    char upgraded; /* the answer to its request has been read to the end of its head */
    char ready;
    char *part; /* what has been read and is not whole yet */
    uint32_t kept;
    uint32_t first, count; /* a publisher's messages under way; count 0: it is free */
} Socket;

static struct {
    const char *host, *framing, *open, *greet, *ready, *ack, *ack_key, *ping, *pong, *post_open, *post, *post_batch, *item, *answer, *item_ok,
        *follow, *follow_greet, *played, *tickets;
    int port, post_port, crowd, stuck, spread, binary, spin;
} opt = {.host = "127.0.0.1", .framing = "ws", .open = "", .post = "", .post_batch = "", .item = "", .tickets = ""};

static int poller, open_sockets, closed_early;
static Socket *crowd, *stuck, publishers[PUBLISHERS_MAX], follower;
static char **tickets;
static uint32_t next_number, copies = 1;
static uint64_t messages, bytes_in, played, wrong, strange, answered, refused, posts;
static char first_refusal[300];
static int64_t *intended;  /* per number: when it was to be posted */
static uint8_t *seen;      /* spread: per number; else per number and listener */
static uint8_t *state;     /* per number: 0 not posted, 1 posted, 2 accepted, 3 refused */
static int64_t last_arrival, idle_ns; /* idle: measuring, with nothing to read */
static char measuring;
static Socket *free_publishers[PUBLISHERS_MAX];
static int free_count;

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *lazily(size_t size) { /* zeros that cost nothing until they are touched */
    void *place = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) die("memory");
    return place;
}

/* --- latencies: 64 steps an octave, about 1 % ------------------------------------------------------------------------------ */

typedef struct {
    uint64_t steps[64 * 64], count;
    int64_t max;
} Latency;
static Latency arrivals, answers, plays, lasts;

static void add(Latency *l, int64_t ns) {
    if (ns < 64) ns = 64;
    int octave = 63 - __builtin_clzll((uint64_t)ns);
    l->steps[(octave - 6) * 64 + ((ns >> (octave - 6)) & 63)]++;
    l->count++;
    if (ns > l->max) l->max = ns;
}

static double quantile_ms(const Latency *l, double q) {
    uint64_t want = (uint64_t)(q * l->count), sum = 0;
    for (int i = 0; i < 64 * 58; i++)
        if ((sum += l->steps[i]) > want) return (double)((64LL + i % 64) << (i / 64)) / 1e6;
    return l->max / 1e6;
}

static void print_latency(const char *name, const Latency *l) {
    if (l->count)
        printf(", \"%s\": {\"count\": %lu, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}", name, (unsigned long)l->count,
               quantile_ms(l, 0.5), quantile_ms(l, 0.99), l->max / 1e6);
}

/* --- templates ------------------------------------------------------------------------------------------------------------- */

/* MurmurHash3's finalizer: neighbours come far apart, and no two to the same place. */
static uint32_t scatter(uint32_t n) {
    n = (n ^ n >> 16) * 0x85ebca6b;
    n = (n ^ n >> 13) * 0xc2b2ae35;
    return n ^ n >> 16;
}

static size_t expand(const char *template, char *out, uint32_t n, uint32_t i, uint64_t l, uint64_t r) {
    char *to = out;
    for (const char *from = template; *from;) {
        if (from[0] == '{' && from[1] && from[2] == '}') {
            switch (from[1]) {
            case 'n': to += sprintf(to, "@%08u@", n); from += 3; continue;
            case 'i': to += sprintf(to, "%06u", i); from += 3; continue;
            case 'h': to += sprintf(to, "%08x", scatter(n)); from += 3; continue;
            case 't': to = stpcpy(to, tickets[i]); from += 3; continue;
            case 'l': to += sprintf(to, "%lu", (unsigned long)l); from += 3; continue;
            case 'r': to += sprintf(to, "%lu", (unsigned long)r); from += 3; continue;
            }
        }
        *to++ = *from++;
    }
    return (size_t)(to - out);
}

static void say(Socket *s, const char *data, size_t size) {
    while (size) {
        ssize_t sent = send(s->fd, data, size, MSG_NOSIGNAL);
        if (sent > 0) data += sent, size -= (size_t)sent;
        else if (errno == EAGAIN) poll(&(struct pollfd){.fd = s->fd, .events = POLLOUT}, 1, 1000);
        else return; /* it is gone: reading says so */
    }
}

static void say_frame(Socket *s, int opcode, const char *payload, size_t size) {
    char frame[PART_MAX];
    size_t head = 2;
    frame[0] = (char)(0x80 | opcode);
    if (size < 126) frame[1] = (char)(0x80 | size);
    else frame[1] = (char)(0x80 | 126), frame[2] = (char)(size >> 8), frame[3] = (char)size, head = 4;
    memset(frame + head, 0, 4); /* a mask of zeros is a mask */
    memcpy(frame + head + 4, payload, size);
    say(s, frame, head + 4 + size);
}

static void say_template(Socket *s, const char *template, uint32_t n, uint64_t r) {
    char text[PART_MAX / 2];
    say_frame(s, opt.binary ? 2 : 1, text, expand(template, text, n, s->index, 0, r));
}

/* --- sockets --------------------------------------------------------------------------------------------------------------- */

static void connect_to(Socket *s, int port, int receive_buffer) {
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (s->fd < 0) die("socket");
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (receive_buffer) setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(int));
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, opt.host, &to.sin_addr);
    if (connect(s->fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    fcntl(s->fd, F_SETFL, O_NONBLOCK);
    s->upgraded = s->ready = 0;
    s->kept = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    if (s->role != STUCK && epoll_ctl(poller, EPOLL_CTL_ADD, s->fd, &event)) die("epoll");
}

static void open_request(Socket *s, const char *template) {
    char text[PART_MAX];
    say(s, text, expand(template, text, 0, s->index, 0, s->index));
}

static void open_publisher(Socket *s) {
    connect_to(s, opt.post_port, 0);
    if (opt.post_open) open_request(s, opt.post_open);
    s->upgraded = 1;
    s->count = 0;
}

static void keep(Socket *s, const char *data, size_t size) {
    if (size > PART_MAX) errno = EMSGSIZE, die("a message that never ends");
    if (size && !s->part && !(s->part = malloc(PART_MAX))) die("memory");
    if (size) memmove(s->part, data, size);
    else if (s->part && s->role == LISTENER) free(s->part), s->part = NULL;
    s->kept = (uint32_t)size;
}

/* --- what comes back ------------------------------------------------------------------------------------------------------- */

static int is_mark(const char *at, uint32_t *number) {
    uint32_t n = 0;
    if (at[MARK - 1] != '@') return 0;
    for (int d = 1; d <= DIGITS; d++) {
        if (at[d] < '0' || at[d] > '9') return 0;
        n = n * 10 + (uint32_t)(at[d] - '0');
    }
    *number = n;
    return n < NUMBERS_MAX;
}

static void arrived(Socket *s, uint32_t n, int64_t at) {
    messages++;
    last_arrival = at;
    if (n >= next_number) { strange++; return; }
    if (opt.spread) {
        if (n % (uint32_t)opt.crowd != s->index) wrong++;
        if (seen[n] < 255) seen[n]++;
    } else {
        uint8_t *count = seen + (size_t)n * (size_t)opt.crowd + s->index;
        if (n < COPIES_KEPT && *count < 255) ++*count;
    }
    add(&arrivals, at - intended[n]);
}

/* Every mark in the text; gives how many bytes at its end may be the beginning of one. */
static size_t scan(Socket *s, const char *text, size_t size, int64_t at) {
    const char *end = text + size, *p = text;
    size_t room = MARK + (s->role == FOLLOWER ? strlen(opt.played) : 0);
    while ((p = memchr(p, '@', (size_t)(end - p)))) {
        uint32_t n;
        if ((size_t)(end - p) < room) return (size_t)(end - p);
        if (!is_mark(p, &n)) { p++; continue; }
        if (s->role == LISTENER) arrived(s, n, at);
        else if (!memcmp(p + MARK, opt.played, strlen(opt.played))) {
            played++;
            last_arrival = at;
            if (n < next_number) add(&plays, at - intended[n]);
        }
        p += MARK;
    }
    return 0;
}

static uint64_t number_behind(const char *key, const char *text, size_t size) {
    const char *at = memmem(text, size, key, strlen(key));
    uint64_t number = 0;
    if (at)
        for (at += strlen(key); at < text + size && *at >= '0' && *at <= '9'; at++) number = number * 10 + (uint64_t)(*at - '0');
    return number;
}

static void hear(Socket *s, int opcode, const char *payload, size_t size, int64_t at) {
    if (opcode == 9) { say_frame(s, 10, payload, size); return; }
    if (opcode > 2) return;
    if (!s->ready && opt.ready && memmem(payload, size, opt.ready, strlen(opt.ready))) s->ready = 1;
    if (opt.ping && size >= strlen(opt.ping) && !memcmp(payload, opt.ping, strlen(opt.ping))) {
        say_template(s, opt.pong, 0, number_behind(opt.ping, payload, size)); /* and what came in the same frame */
    }
    uint64_t before = messages;
    scan(s, payload, size, at);
    if (!opt.ack || messages == before) return;
    uint32_t n;
    const char *end = payload + size;
    for (const char *p = payload; (p = memchr(p, '@', (size_t)(end - p))); p++)
        if (end - p >= MARK && is_mark(p, &n)) say_template(s, opt.ack, n, opt.ack_key ? number_behind(opt.ack_key, payload, size) : 0);
}

/* Whole frames; gives how many bytes they were. */
static size_t hear_frames(Socket *s, char *data, size_t size, int64_t at) {
    size_t from = 0;
    while (size - from >= 2) {
        uint8_t *f = (uint8_t *)data + from;
        size_t head = 2, length = f[1] & 127;
        if (length == 126) head = 4;
        else if (length == 127) head = 10;
        if (size - from < head) break;
        if (head == 4) length = (size_t)f[2] << 8 | f[3];
        if (head == 10) { length = 0; for (int i = 2; i < 10; i++) length = length << 8 | f[i]; }
        if (size - from < head + length) break;
        hear(s, f[0] & 15, (char *)f + head, length, at);
        from += head + length;
    }
    return from;
}

static void settle(Socket *s, int accepted, int64_t at) {
    for (uint32_t n = s->first; n < s->first + s->count; n++) {
        state[n] = accepted ? 2 : 3;
        if (accepted) answered++, add(&answers, at - intended[n]);
        else refused++;
    }
    s->count = 0;
    free_publishers[free_count++] = s;
}

static void hear_answer(Socket *s, char *data, size_t size, int64_t at) {
    data[size] = 0;
    if (opt.answer) { /* not HTTP: the words say it */
        char *found = memmem(data, size, opt.answer, strlen(opt.answer));
        if (found && s->count) settle(s, 1, at), size = 0;
        keep(s, data, size);
        return;
    }
    char *body = memmem(data, size, "\r\n\r\n", 4), *length = strcasestr(data, "\r\ncontent-length:");
    if (body && size) {
        body += 4;
        size_t there = size - (size_t)(body - data);
        int whole = length && length < body ? there >= strtoul(length + 17, NULL, 10) : !strncmp(data + 9, "204", 3) ||
                    memmem(data, size, "\r\n0\r\n\r\n", 7) || memmem(body - 2, there + 2, "\r\n0\r\n\r\n", 7);
        if (whole && s->count) {
            int good = data[9] == '2';
            uint32_t items = 0;
            for (char *p = body; opt.item_ok && s->count > 1 && (p = strstr(p, opt.item_ok)); p++) items++;
            if (good && opt.item_ok && s->count > 1 && items != s->count) good = 0;
            if (!good && !*first_refusal) snprintf(first_refusal, sizeof first_refusal, "%.280s", data);
            settle(s, good, at);
            size = 0;
        }
    }
    keep(s, data, size);
}

static void gone(Socket *s) {
    close(s->fd);
    s->fd = -1;
    if (s->role == PUBLISHER) {
        int busy = s->count > 0;
        if (busy) settle(s, 0, now());
        s->kept = 0;
        connect_to(s, opt.post_port, 0);
        if (opt.post_open) open_request(s, opt.post_open);
        s->upgraded = 1;
    } else {
        closed_early++, open_sockets--;
        if (!s->ready && !*first_refusal && s->kept) snprintf(first_refusal, sizeof first_refusal, "%.*s", (int)s->kept, s->part);
    }
}

static void read_from(Socket *s) {
    static char buffer[PART_MAX + (1 << 18) + 1];
    if (s->kept) memcpy(buffer, s->part, s->kept);
    ssize_t got = recv(s->fd, buffer + s->kept, 1 << 18, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) gone(s);
        return;
    }
    int64_t at = now();
    char *data = buffer;
    size_t size = s->kept + (size_t)got;
    if (s->role == PUBLISHER) { hear_answer(s, data, size, at); return; }
    if (!s->upgraded) {
        char *end = memmem(data, size, "\r\n\r\n", 4);
        if (!end) { keep(s, data, size); return; }
        if (size < 12 || (memcmp(data + 9, "101", 3) && memcmp(data + 9, "200", 3))) {
            if (!*first_refusal) snprintf(first_refusal, sizeof first_refusal, "%.*s", (int)size, data);
            gone(s);
            return;
        }
        s->upgraded = 1;
        size -= (size_t)(end + 4 - data);
        data = end + 4;
        const char *greet = s->role == LISTENER ? opt.greet : opt.follow_greet;
        if (greet) say_template(s, greet, 0, 0);
        if (!opt.ready || s->role == FOLLOWER) s->ready = 1;
    }
    bytes_in += (size_t)got;
    if (s->role == LISTENER && *opt.framing == 'w') {
        size_t used = hear_frames(s, data, size, at);
        keep(s, data + used, size - used);
    } else {
        size_t rest = scan(s, data, size, at);
        keep(s, data + size - rest, rest);
    }
}

/* What has come, or comes until then. While it measures it looks again and again and never sleeps: a server would pay for waking it,
 * which no reader on another machine costs, and the figures jump with how often it happens to (nchan's between 280k and 560k/s). */
static void turn(int64_t until) {
    struct epoll_event events[EVENTS_MAX];
    int64_t begin = now(), left = until > begin && !measuring ? until - begin : 0;
    struct timespec wait = {left / 1000000000, left % 1000000000};
    int count = epoll_pwait2(poller, events, EVENTS_MAX, &wait, NULL);
    if (!count && measuring) {
        while (!(count = epoll_pwait2(poller, events, EVENTS_MAX, &wait, NULL)) && now() < until) {}
        idle_ns += now() - begin;
    }
    for (int i = 0; i < count; i++) read_from(events[i].data.ptr);
}

/* --- posting --------------------------------------------------------------------------------------------------------------- */

static void post(Socket *s, uint32_t batch, const int64_t *due) {
    static char body[BATCH_MAX * 1024], head[PART_MAX];
    size_t size = 0;
    s->first = next_number, s->count = batch;
    next_number += batch;
    if (next_number >= NUMBERS_MAX || (!opt.spread && next_number >= COPIES_KEPT)) errno = ENOSPC, die("too many messages");
    if (batch > 1) body[size++] = '[';
    for (uint32_t k = 0; k < batch; k++) {
        uint32_t n = s->first + k;
        intended[n] = *due, state[n] = 1;
        if (k) body[size++] = ',';
        size += expand(opt.item, body + size, n, opt.crowd ? n % (uint32_t)opt.crowd : 0, 0, 0);
    }
    if (batch > 1) body[size++] = ']';
    const char *template = batch > 1 ? opt.post_batch : opt.post;
    size_t start = expand(template, head, s->first, opt.crowd ? s->first % (uint32_t)opt.crowd : 0, size, s->index);
    memmove(body + start, body, size);
    memcpy(body, head, start);
    size += start;
    if (opt.answer) memcpy(body + size, "\r\n", 2), size += 2;
    posts++;
    say(s, body, size);
}

static uint64_t expected(uint32_t from) {
    uint64_t accepted = 0;
    for (uint32_t n = from; n < next_number; n++) accepted += state[n] == 2;
    return accepted * copies * (opt.spread ? 1 : (uint64_t)open_sockets);
}

static int under_way(int count) { return count - free_count; }

/* Until everything that was accepted is there, or nothing more comes. */
static void drain(uint32_t from, int count, uint64_t before, uint64_t played_before) {
    int64_t begin = now();
    last_arrival = begin;
    while (now() < begin + DRAIN_S * 1000000000LL && now() < last_arrival + SILENCE_S * 1000000000LL) {
        uint64_t want = expected(from);
        if (!under_way(count) && messages - before >= want && (!opt.follow || played - played_before >= answered)) break;
        turn(now() + 20000000);
    }
    turn(now() + 50000000); /* for one too many */
}

static void check(uint32_t from, uint64_t *lost, uint64_t *doubled) {
    *lost = *doubled = 0;
    for (uint32_t n = from; n < next_number; n++) {
        if (state[n] != 2) continue;
        if (opt.spread) {
            if (seen[n] < copies) *lost += copies - seen[n];
            if (seen[n] > copies) *doubled += seen[n] - copies;
        } else
            for (int i = 0; i < opt.crowd; i++) {
                if (crowd[i].fd < 0) continue; /* counted as closed */
                uint8_t count = seen[(size_t)n * (size_t)opt.crowd + (size_t)i];
                if (count < copies) *lost += copies - count;
                if (count > copies) *doubled += count - copies;
            }
    }
}

static void begin(int count) {
    memset(&arrivals, 0, sizeof arrivals), memset(&answers, 0, sizeof answers);
    memset(&plays, 0, sizeof plays), memset(&lasts, 0, sizeof lasts);
    answered = refused = posts = 0;
    free_count = 0;
    for (int i = 0; i < PUBLISHERS_MAX; i++) publishers[i].index = (uint32_t)i;
    for (int i = 0; i < count; i++) {
        if (publishers[i].fd <= 0) publishers[i].role = PUBLISHER, open_publisher(&publishers[i]);
        free_publishers[free_count++] = &publishers[i];
    }
    if (opt.answer) for (int64_t until = now() + 100000000; now() < until;) turn(until);
}

static void run(const char *mode, double per_second, int count, double seconds, int batch) {
    uint32_t from = next_number;
    uint64_t before = messages, before_played = played, wrong_before = wrong;
    begin(count);
    int64_t start = now(), warm = start + (int64_t)(seconds * 1e8), end = start + (int64_t)(seconds * 1e9), due = start, late = 0;
    int64_t opened = 0;
    uint64_t in_window = 0, answered_window = 0, bytes_window = 0;
    int64_t idle = 0;
    uint64_t scheduled = 0;
    measuring = (char)opt.spin;
    for (int64_t t; (t = now()) < end;) {
        if (!opened && t >= warm) opened = t, in_window = messages, answered_window = answered, bytes_window = bytes_in, idle = idle_ns;
        if (per_second > 0) {
            while (free_count && (due = start + (int64_t)(scheduled * 1e9 / per_second)) <= now()) {
                int64_t lag = now() - due;
                if (lag > late) late = lag;
                post(free_publishers[--free_count], 1, &due);
                scheduled++;
            }
            due = start + (int64_t)(scheduled * 1e9 / per_second);
            turn(free_count && due < end ? due : end);
        } else {
            while (free_count) { int64_t at = now(); post(free_publishers[--free_count], (uint32_t)batch, &at); }
            turn(end);
        }
    }
    double window = (now() - opened) / 1e9;
    double arrived_s = (messages - in_window) / window, answered_s = (answered - answered_window) / window;
    double size = messages > in_window ? (double)(bytes_in - bytes_window) / (double)(messages - in_window) : 0;
    double busy = 1 - (double)(idle_ns - idle) / 1e9 / window;
    measuring = 0;
    /* What the schedule had asked for and no publisher was free to post: the server did not hold the rate. */
    double behind = per_second > 0 ? (end - (start + (int64_t)(scheduled * 1e9 / per_second))) / 1e9 : 0;
    drain(from, count, before, before_played);
    uint64_t lost, doubled;
    check(from, &lost, &doubled);
    printf("{\"mode\": \"%s\", \"accepted\": %lu, \"refused\": %lu, \"messages\": %lu, \"accepted_per_s\": %.1f, "
           "\"messages_per_s\": %.1f, \"bytes_per_message\": %.1f, \"lost\": %lu, \"doubled\": %lu, \"wrong\": %lu, "
           "\"strange\": %lu, \"closed\": %d, \"unanswered\": %d, \"busy\": %.3f, \"behind_s\": %.3f, \"late_ms\": %.3f, \"played\": %lu",
           mode, (unsigned long)answered, (unsigned long)refused, (unsigned long)(messages - before), answered_s, arrived_s, size,
           (unsigned long)lost, (unsigned long)doubled, (unsigned long)(wrong - wrong_before), (unsigned long)strange, closed_early,
           under_way(count), busy, behind > 0 ? behind : 0, late / 1e6, (unsigned long)(played - before_played));
    print_latency("answer_ms", &answers), print_latency("arrive_ms", &arrivals), print_latency("played_ms", &plays);
    if (*first_refusal) {
        printf(", \"refusal\": \"");
        for (char *p = first_refusal; *p; p++) putchar(*p == '"' || *p == '\\' || (unsigned char)*p < ' ' ? '\'' : *p);
        putchar('"');
    }
    printf("}\n");
}

static void alone(int count) {
    uint32_t from = next_number;
    begin(1);
    measuring = (char)opt.spin;
    for (int k = 0; k < count; k++) {
        uint64_t before = messages, want = (uint64_t)copies * (uint64_t)open_sockets;
        int64_t at = now(), until = at + SILENCE_S * 1000000000LL;
        post(free_publishers[--free_count], 1, &at);
        while (now() < until && (messages - before < want || under_way(1))) turn(until);
        add(&lasts, last_arrival - at);
        for (int64_t rest = now() + 30000000; now() < rest;) turn(rest);
    }
    measuring = 0;
    uint64_t lost, doubled;
    check(from, &lost, &doubled);
    printf("{\"mode\": \"alone\", \"lost\": %lu, \"doubled\": %lu, \"refused\": %lu, \"closed\": %d", (unsigned long)lost,
           (unsigned long)doubled, (unsigned long)refused, closed_early);
    print_latency("last_ms", &lasts), print_latency("arrive_ms", &arrivals);
    printf("}\n");
}

static void probe(void) {
    begin(1);
    uint64_t before = messages;
    uint32_t n = next_number;
    int64_t at = now();
    last_arrival = at;
    post(free_publishers[--free_count], 1, &at);
    while (now() < last_arrival + 700000000LL) turn(now() + 50000000);
    uint8_t least = 255, most = 0;
    for (int i = 0; i < (opt.spread ? 1 : opt.crowd); i++) {
        uint8_t count = opt.spread ? seen[n] : seen[(size_t)n * (size_t)opt.crowd + (size_t)i];
        if (count < least) least = count;
        if (count > most) most = count;
    }
    if (least && least == most) copies = least;
    printf("{\"mode\": \"probe\", \"accepted\": %lu, \"least\": %d, \"most\": %d, \"messages\": %lu, \"unanswered\": %d",
           (unsigned long)answered, least, most, (unsigned long)(messages - before), under_way(1));
    if (*first_refusal) {
        printf(", \"refusal\": \"");
        for (char *p = first_refusal; *p; p++) putchar(*p == '"' || *p == '\\' || (unsigned char)*p < ' ' ? '\'' : *p);
        putchar('"');
    }
    printf("}\n");
}

/* --- beginning ------------------------------------------------------------------------------------------------------------- */

static void connect_crowd(void) {
    int64_t start = now(), patience = start + 120 * 1000000000LL;
    int begun = 0, ready = 0, oldest = 0;
    while (ready < opt.crowd && now() < patience && !closed_early) {
        while (begun < opt.crowd && begun - ready < CONNECTING_MAX) {
            Socket *s = &crowd[begun];
            s->role = LISTENER, s->index = (uint32_t)begun++;
            connect_to(s, opt.port, 0);
            open_sockets++;
            open_request(s, opt.open);
        }
        turn(now() + 100000000);
        for (ready = oldest; ready < begun && crowd[ready].ready; ready++) {}
        oldest = ready;
    }
    double seconds = (now() - start) / 1e9;
    if (ready < opt.crowd) fprintf(stderr, "load: %d of %d came through: %s\n", ready, opt.crowd, first_refusal), exit(1);
    for (int i = 0; i < opt.stuck; i++) {
        stuck[i].role = STUCK, stuck[i].index = 0;
        connect_to(&stuck[i], opt.port, 4096);
        open_request(&stuck[i], opt.open);
    }
    if (opt.follow) follower.role = FOLLOWER, connect_to(&follower, opt.port, 0), open_request(&follower, opt.follow);
    while (opt.follow && !follower.ready && now() < patience && !closed_early) turn(now() + 100000000);
    if (opt.follow && !follower.ready) fprintf(stderr, "load: nobody can follow: %s\n", first_refusal), exit(1);
    printf("{\"mode\": \"connected\", \"sockets\": %d, \"seconds\": %.3f, \"per_s\": %.1f}\n", ready, seconds,
           ready / (seconds > 0 ? seconds : 1));
}

static void read_options(int argc, char **argv) {
    struct { const char *name; const char **text; int *number; } known[] = {
        {"--host", &opt.host, 0}, {"--port", 0, &opt.port}, {"--post-port", 0, &opt.post_port}, {"--crowd", 0, &opt.crowd},
        {"--stuck", 0, &opt.stuck}, {"--spread", 0, &opt.spread}, {"--binary", 0, &opt.binary}, {"--spin", 0, &opt.spin}, {"--framing", &opt.framing, 0},
        {"--open", &opt.open, 0}, {"--greet", &opt.greet, 0}, {"--ready", &opt.ready, 0}, {"--ack", &opt.ack, 0},
        {"--ack-key", &opt.ack_key, 0}, {"--ping", &opt.ping, 0}, {"--pong", &opt.pong, 0}, {"--post-open", &opt.post_open, 0},
        {"--post", &opt.post, 0}, {"--post-batch", &opt.post_batch, 0}, {"--item", &opt.item, 0}, {"--answer", &opt.answer, 0}, {"--item-ok", &opt.item_ok, 0},
        {"--follow", &opt.follow, 0}, {"--follow-greet", &opt.follow_greet, 0}, {"--played", &opt.played, 0}, {"--tickets", &opt.tickets, 0},
    };
    for (int a = 1; a + 1 < argc; a += 2) {
        size_t k = 0, all = sizeof known / sizeof *known;
        while (k < all && strcmp(known[k].name, argv[a])) k++;
        if (k == all) fprintf(stderr, "load: unknown option %s\n", argv[a]), exit(2);
        if (known[k].text) *known[k].text = argv[a + 1];
        else *known[k].number = atoi(argv[a + 1]);
    }
    if (!opt.post_port) opt.post_port = opt.port;
}

static void read_tickets(void) {
    tickets = calloc((size_t)opt.crowd + 1, sizeof *tickets);
    FILE *file = *opt.tickets ? fopen(opt.tickets, "r") : NULL;
    char line[4096];
    for (int i = 0; i < opt.crowd; i++) {
        if (file && !fgets(line, sizeof line, file)) die("--tickets has too few lines");
        if (file) line[strcspn(line, "\n")] = 0;
        tickets[i] = strdup(file ? line : "");
    }
    if (file) fclose(file);
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    read_tickets();
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    setvbuf(stdout, NULL, _IOLBF, 0);
    /* On this core only what the system does for the server, its disk's work say, has a right to come first. */
    if (opt.spin) setpriority(PRIO_PROCESS, 0, 19);
    poller = epoll_create1(0);
    crowd = calloc((size_t)opt.crowd + 1, sizeof *crowd), stuck = calloc((size_t)opt.stuck + 1, sizeof *stuck);
    intended = lazily(NUMBERS_MAX * sizeof *intended), state = lazily(NUMBERS_MAX);
    seen = lazily(opt.spread ? NUMBERS_MAX : (size_t)(opt.crowd + 1) * COPIES_KEPT);
    connect_crowd();
    /* Between two commands somebody must still listen and answer pings: standard input is one more thing to wait for. */
    char line[256];
    fcntl(0, F_SETFL, O_NONBLOCK);
    for (size_t got = 0;;) {
        if (poll(&(struct pollfd){.fd = 0, .events = POLLIN}, 1, 0) > 0) {
            ssize_t more = read(0, line + got, sizeof line - 1 - got);
            if (more <= 0) return 0;
            got += (size_t)more;
            line[got] = 0;
            char *end = strchr(line, '\n');
            if (!end) continue;
            int count = 0, batch = 1;
            double per_second = 0, seconds = 0;
            if (sscanf(line, "alone %d", &count) == 1) alone(count);
            else if (sscanf(line, "max %d %lf %d", &count, &seconds, &batch) >= 2) run("max", 0, count, seconds, batch);
            else if (sscanf(line, "rate %lf %d %lf", &per_second, &count, &seconds) == 3) run("rate", per_second, count, seconds, 1);
            else if (sscanf(line, "idle %lf", &seconds) == 1) {
                for (int64_t until = now() + (int64_t)(seconds * 1e9); now() < until;) turn(until);
                printf("{\"mode\": \"idle\", \"closed\": %d, \"open\": %d}\n", closed_early, open_sockets);
            } else if (!strncmp(line, "probe", 5)) probe();
            else fprintf(stderr, "load: unknown command %s", line), exit(2);
            got = 0;
        }
        turn(now() + 10000000);
    }
}
