/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probes made of frames, against guests that answer, refuse, say nothing, and lie. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "frame-sum.h"
#include "unit.h"

#include "helpers/frame-probe.h"
#include "shared/launch-wire.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10
#define GUEST_SEQ 7000U
#define INTERVAL 1000000U
#define TIMEOUT 1000000U

/* The guest: what it sends, and what it made of the last frame of the probe. */
struct rig {
        FrameLink link;
        FrameProbe probe;
        FrameOut out;
        uint64_t now;
        uint8_t frame[2000]; /* the guest's */
        size_t len;
        uint16_t from, to, window;
        uint32_t seq, ack;
        uint8_t flags;
        const char *data;
        size_t data_len;
};

static uint32_t get(const uint8_t *p, size_t n) {
        uint32_t v = 0;

        while (n-- > 0)
                v = v << 8 | *p++;
        return v;
}

static void put(uint8_t *p, size_t n, uint32_t v) {
        while (n-- > 0) {
                p[n] = (uint8_t) v;
                v >>= 8;
        }
}

static uint32_t tcp_sum(const uint8_t *ip, const uint8_t *tcp, size_t len) {
        return frame_sum(tcp, len, frame_sum(ip + 12, 8, 6 + (uint32_t) len));
}

static void rig_up(struct rig *r, const char *plan) {
        static const uint8_t arp[42] = {0x52, 0x54, 0, 1, 2, 3, 0x9a, 0x55, 0, 4, 5, 6, 8, 6};
        struct probe_plan parsed;

        memset(r, 0, sizeof *r);
        assert_true(probe_plan_parse(plan, &parsed));
        frame_link_note(&r->link, arp, sizeof arp);
        frame_probe_init(&r->probe, 1, &parsed, &r->link, 12345);
        r->now = 5000000;
        r->window = 64000;
        frame_probe_begin(&r->probe, r->now);
}

/* What the probe has sent, which is whole and right in any case. */
static void look(struct rig *r) {
        const uint8_t *ip = r->out.frame + 14, *tcp = ip + 20;
        size_t header, total = get(ip + 2, 2);
        uint8_t expected[14] = {0x52, 0x54, 0, 1, 2, 3, 0x9a, 0x55, 0, 4, 5, 6, 8, 0};
        char text[INET_ADDRSTRLEN];

        assert_true(r->out.len >= 54);
        assert_memory_equal(r->out.frame, expected, 14);
        assert_int_equal(total, r->out.len - 14);
        assert_int_equal(frame_sum(ip, 20, 0), 0xffff);
        assert_int_equal(tcp_sum(ip, tcp, total - 20), 0xffff);
        assert_string_equal(inet_ntop(AF_INET, ip + 12, text, sizeof text), PASST_GATEWAY);
        assert_string_equal(inet_ntop(AF_INET, ip + 16, text, sizeof text), USER_NET_ADDRESS);
        r->from = (uint16_t) get(tcp, 2);
        r->to = (uint16_t) get(tcp + 2, 2);
        r->seq = get(tcp + 4, 4);
        r->ack = get(tcp + 8, 4);
        header = (size_t) (tcp[12] >> 4) * 4;
        r->flags = tcp[13];
        r->data = (const char *) tcp + header;
        r->data_len = total - 20 - header;
}

static FrameProbeResult tick(struct rig *r) {
        FrameProbeResult result;

        r->now = frame_probe_due(&r->probe) > r->now ? frame_probe_due(&r->probe) : r->now;
        result = frame_probe_tick(&r->probe, r->now, &r->out);
        if (r->out.len > 0)
                look(r);
        return result;
}

/* The checksums anew, after something was changed. */
static void seal(struct rig *r, size_t ip_header) {
        uint8_t *ip = r->frame + 14, *tcp = ip + ip_header;
        size_t len = get(ip + 2, 2) - ip_header;

        put(ip + 10, 2, 0);
        put(ip + 10, 2, ~frame_sum(ip, ip_header, 0));
        put(tcp + 16, 2, 0);
        put(tcp + 16, 2, ~tcp_sum(ip, tcp, len));
}

/* A segment of the guest; options: bytes of them, a multiple of 4. */
static void make(struct rig *r, uint8_t flags, uint32_t seq, uint32_t ack, const uint8_t *options, size_t n_options,
        const char *data, size_t len) {
        uint8_t *ip = r->frame + 14, *tcp = ip + 20;

        memset(r->frame, 0, sizeof r->frame);
        r->frame[12] = 8;
        ip[0] = 0x45;
        put(ip + 2, 2, (uint32_t) (40 + n_options + len));
        ip[8] = 64;
        ip[9] = 6;
        assert_int_equal(inet_pton(AF_INET, USER_NET_ADDRESS, ip + 12), 1);
        assert_int_equal(inet_pton(AF_INET, PASST_GATEWAY, ip + 16), 1);
        put(tcp, 2, r->to);
        put(tcp + 2, 2, r->from);
        put(tcp + 4, 4, seq);
        put(tcp + 8, 4, ack);
        tcp[12] = (uint8_t) ((20 + n_options) / 4 << 4);
        tcp[13] = flags;
        put(tcp + 14, 2, r->window);
        if (n_options > 0)
                memcpy(tcp + 20, options, n_options);
        memcpy(tcp + 20 + n_options, data, len);
        r->len = 54 + n_options + len;
        seal(r, 20);
}

static FrameProbeResult give(struct rig *r) {
        uint8_t *copy = malloc(r->len + !r->len); /* so that reading beyond it is seen */
        FrameProbeResult result = FRAME_PROBE_PENDING;

        memcpy(copy, r->frame, r->len);
        r->out.len = 0;
        if (frame_probe_number(copy, r->len) == 1)
                result = frame_probe_take(&r->probe, copy, r->len, r->now, &r->out);
        free(copy);
        if (r->out.len > 0)
                look(r);
        return result;
}

static FrameProbeResult say(struct rig *r, uint8_t flags, uint32_t seq, uint32_t ack, const char *data) {
        make(r, flags, seq, ack, NULL, 0, data, strlen(data));
        return give(r);
}

/* An attempt begins, and the guest takes the connection. Returns the sequence number of the request. */
static uint32_t connect_to(struct rig *r) {
        uint32_t first;

        assert_int_equal(tick(r), FRAME_PROBE_PENDING);
        assert_int_equal(r->flags, SYN);
        first = r->seq + 1;
        assert_int_equal(say(r, SYN | ACK, GUEST_SEQ, first, ""), FRAME_PROBE_PENDING);
        assert_int_equal(r->flags & ~8, ACK);
        assert_int_equal(r->ack, GUEST_SEQ + 1);
        assert_int_equal(r->seq, first);
        return first;
}

#define HTTP "http 80 1000000 1000000 /a?b"
#define TCP "tcp 80 1000000 1000000"

static void test_tcp(void **state) {
        struct rig r;

        rig_up(&r, TCP);
        for (unsigned i = 0; i < 3 * FRAME_PROBE_PORTS; i++) {
                uint64_t begun = frame_probe_due(&r.probe);
                uint32_t seq;

                assert_int_equal(tick(&r), FRAME_PROBE_PENDING);
                assert_int_equal(r.flags, SYN);
                assert_int_equal(r.to, 80);
                assert_int_equal(r.from, 1 + FRAME_PROBE_PORTS + i % FRAME_PROBE_PORTS);
                assert_int_equal(r.data_len, 0);
                seq = r.seq;
                assert_int_equal(say(&r, SYN | ACK, GUEST_SEQ, seq + 1, ""), FRAME_PROBE_GOOD);
                assert_int_equal(r.flags, RST);
                assert_int_equal(r.seq, seq + 1);
                assert_int_equal(frame_probe_due(&r.probe), begun + INTERVAL);
        }
        frame_probe_end(&r.probe);
        assert_true(frame_probe_due(&r.probe) == UINT64_MAX);
        assert_int_equal(tick(&r), FRAME_PROBE_PENDING);
        assert_int_equal(r.out.len, 0);
}

static void test_http(void **state) {
        static const struct {
                const char *answer;
                FrameProbeResult result;
        } cases[] = {{"HTTP/1.1 200 OK\r\n\r\nHello", FRAME_PROBE_GOOD}, {"HTTP/1.0 399", FRAME_PROBE_GOOD},
                {"HTTP/1.0 400 No\r\n", FRAME_PROBE_BAD}, {"HTTP/1.1 199 So\r\n", FRAME_PROBE_BAD},
                {"HTTP/1.1 503 No\r\n", FRAME_PROBE_BAD}, {"SSH-2.0-", FRAME_PROBE_BAD}, {"x", FRAME_PROBE_BAD}};
        struct rig r;

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                uint32_t first, end;

                rig_up(&r, HTTP);
                first = connect_to(&r);
                end = first + (uint32_t) r.data_len;
                assert_true(r.data_len > 20 && strncmp(r.data, "GET /a?b HTTP/1.", 16) == 0);
                assert_memory_equal(r.data + r.data_len - 4, "\r\n\r\n", 4);
                assert_int_equal(say(&r, ACK, GUEST_SEQ + 1, end, ""), FRAME_PROBE_PENDING);
                assert_int_equal(say(&r, ACK, GUEST_SEQ + 1, end, cases[i].answer), cases[i].result);
                assert_int_equal(r.flags, RST);
                assert_int_equal(r.seq, end);
        }
}

/* The status line in pieces, out of order, twice, overlapping. */
static void test_pieces(void **state) {
        static const char line[] = "HTTP/1.1 204 No Content\r\n";
        struct rig r;
        uint32_t end;

        rig_up(&r, HTTP);
        end = connect_to(&r) + (uint32_t) r.data_len;
        assert_int_equal(say(&r, ACK, GUEST_SEQ + 1 + 6, end, line + 6), FRAME_PROBE_PENDING); /* too early */
        assert_int_equal(r.ack, GUEST_SEQ + 1);
        for (uint32_t i = 0; i < 11; i++) {
                char piece[3] = {line[i > 0 ? i - 1 : 0], i > 0 ? line[i] : 0};
                uint32_t seq = GUEST_SEQ + 1 + (i > 0 ? i - 1 : 0);

                for (unsigned again = 0; again < 2; again++) {
                        assert_int_equal(say(&r, ACK, seq, end, piece), FRAME_PROBE_PENDING);
                        assert_int_equal(r.flags, ACK);
                        assert_int_equal(r.ack, GUEST_SEQ + 1 + i + 1);
                }
        }
        assert_int_equal(say(&r, ACK | FIN, GUEST_SEQ + 1, end, line), FRAME_PROBE_GOOD);
}

/* An end before the status. */
static void test_ends(void **state) {
        struct rig r;
        uint32_t end;

        rig_up(&r, HTTP);
        end = connect_to(&r) + (uint32_t) r.data_len;
        assert_int_equal(say(&r, ACK | FIN, GUEST_SEQ + 9, end, ""), FRAME_PROBE_PENDING); /* not its place */
        assert_int_equal(say(&r, ACK | FIN, GUEST_SEQ + 1, end, "HTTP/1.1 2"), FRAME_PROBE_BAD);
        end = connect_to(&r) + (uint32_t) r.data_len;
        assert_int_equal(say(&r, RST, GUEST_SEQ + 50, 0, ""), FRAME_PROBE_PENDING); /* not its place */
        assert_int_equal(say(&r, RST, GUEST_SEQ + 1, 0, ""), FRAME_PROBE_BAD);
        assert_int_equal(r.out.len, 0);
        (void) end;
}

static void test_refused(void **state) {
        struct rig r;

        rig_up(&r, TCP);
        assert_int_equal(tick(&r), FRAME_PROBE_PENDING);
        assert_int_equal(say(&r, RST | ACK, 0, r.seq + 2, ""), FRAME_PROBE_PENDING); /* of nothing that was asked */
        assert_int_equal(say(&r, RST, 0, r.seq + 1, ""), FRAME_PROBE_PENDING);
        assert_int_equal(say(&r, RST | ACK, 0, r.seq + 1, ""), FRAME_PROBE_BAD);
}

/* The SYN is sent again once or twice, and then it is over in its time. */
static void test_silence(void **state) {
        static const char *const plans[] = {TCP, "tcp 80 1000000 100000", "tcp 80 1000000 5000000"};
        struct rig r;

        for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
                unsigned sent = 0;
                uint64_t begun;
                uint32_t seq = 0;

                rig_up(&r, plans[i]);
                begun = r.now;
                for (;;) {
                        FrameProbeResult result = tick(&r);

                        if (result != FRAME_PROBE_PENDING) {
                                assert_int_equal(result, FRAME_PROBE_BAD);
                                break;
                        }
                        assert_int_equal(r.flags, SYN);
                        assert_true(sent == 0 || r.seq == seq);
                        seq = r.seq;
                        sent++;
                }
                assert_true(sent >= 2 && sent <= 3);
                assert_int_equal(r.now - begun, r.probe.timeout);
                /* What comes now is refused, and no result. */
                assert_int_equal(say(&r, SYN | ACK, GUEST_SEQ, seq + 1, ""), FRAME_PROBE_PENDING);
                assert_int_equal(r.flags, RST);
                assert_int_equal(r.seq, seq + 1);
        }
}

/* The request is sent again as far as it is not acknowledged; a server that takes it and says nothing is none. */
static void test_lost_request(void **state) {
        struct rig r;
        uint32_t first, end;
        FrameProbeResult result;

        rig_up(&r, HTTP);
        first = connect_to(&r);
        end = first + (uint32_t) r.data_len;
        assert_int_equal(tick(&r), FRAME_PROBE_PENDING);
        assert_int_equal(r.seq, first);
        assert_int_equal(r.data_len, end - first);
        assert_int_equal(say(&r, SYN | ACK, GUEST_SEQ, first, ""), FRAME_PROBE_PENDING);
        assert_int_equal(r.data_len, end - first);
        assert_int_equal(say(&r, ACK, GUEST_SEQ + 1, end - 5, ""), FRAME_PROBE_PENDING);
        assert_int_equal(r.seq, end - 5);
        assert_int_equal(r.data_len, 5);
        while ((result = tick(&r)) == FRAME_PROBE_PENDING)
                assert_int_equal(r.seq, end - 5);
        assert_int_equal(result, FRAME_PROBE_BAD);
        assert_int_equal(r.flags, RST);
        assert_int_equal(r.seq, end);
}

/* A guest that takes little at once. */
static void test_small_segments(void **state) {
        static const uint8_t options[][8] = {{1, 1, 2, 4, 0, 9, 0, 0}, {3, 3, 7, 2, 4, 0, 9, 0}};
        struct rig r;

        for (size_t i = 0; i < 2; i++) {
                uint32_t first, sent = 0;

                rig_up(&r, HTTP);
                assert_int_equal(tick(&r), FRAME_PROBE_PENDING);
                first = r.seq + 1;
                make(&r, SYN | ACK, GUEST_SEQ, first, options[i], 8, "", 0);
                assert_int_equal(give(&r), FRAME_PROBE_PENDING);
                for (; r.out.len > 0 && r.data_len > 0; sent += 9) {
                        assert_int_equal(r.seq, first + sent);
                        assert_true(r.data_len <= 9);
                        assert_int_equal(
                                say(&r, ACK, GUEST_SEQ + 1, r.seq + (uint32_t) r.data_len, ""), FRAME_PROBE_PENDING);
                }
                assert_int_equal(say(&r, ACK, GUEST_SEQ + 1, first + r.probe.sent, "HTTP/1.1 200"), FRAME_PROBE_GOOD);
                assert_int_equal(r.probe.sent, r.probe.request_len);
        }
        /* A window that is shut sends nothing; one that opens is looked at again in time. */
        rig_up(&r, HTTP);
        r.window = 0;
        (void) connect_to(&r);
        assert_int_equal(r.data_len, 0);
        r.window = 1000;
        (void) say(&r, ACK, GUEST_SEQ + 1, r.seq, "");
        assert_int_equal(tick(&r), FRAME_PROBE_PENDING);
        assert_int_equal(r.data_len, r.probe.request_len);
}

/* Options that lie about their length, and headers. */
static void test_bad_options(void **state) {
        static const uint8_t options[][4] = {
                {2, 0, 0, 0}, {2, 1, 0, 0}, {2, 5, 0, 9}, {1, 1, 1, 2}, {2, 4, 0, 0}, {8, 255, 1, 1}};
        struct rig r;

        for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
                rig_up(&r, HTTP);
                assert_int_equal(tick(&r), FRAME_PROBE_PENDING);
                make(&r, SYN | ACK, GUEST_SEQ, r.seq + 1, options[i], 4, "", 0);
                assert_int_equal(give(&r), FRAME_PROBE_PENDING);
                assert_true(r.data_len > 20);
        }
}

/* What is no segment of the guest's to the probe changes nothing, whatever it looks like. */
static void test_hostile(void **state) {
        static const struct {
                size_t at;
                uint8_t value;
                bool sealed; /* with right sums */
        } wrong[] = {{14 + 10, 0xee, false}, {34 + 16, 0xee, false}, {14, 0x46, true}, {14, 0x44, true},
                {14, 0x4f, true}, {14, 0x65, true}, {14 + 3, 39, true}, {14 + 3, 255, false}, {14 + 6, 0x20, true},
                {14 + 7, 1, true}, {14 + 9, 17, true}, {14 + 15, 16, true}, {14 + 19, 3, true}, {34 + 12, 0x40, true},
                {34 + 12, 0xf0, true}, {12, 0x86, true}, {34 + 3, 80, true}, {34 + 1, 81, true}};
        struct rig r;

        rig_up(&r, TCP);
        assert_int_equal(tick(&r), FRAME_PROBE_PENDING);
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
                make(&r, SYN | ACK, GUEST_SEQ, r.seq + 1, NULL, 0, "", 0);
                r.frame[wrong[i].at] = wrong[i].value;
                if (wrong[i].sealed && wrong[i].at != 14)
                        seal(&r, 20);
                assert_int_equal(give(&r), FRAME_PROBE_PENDING);
                assert_int_equal(r.out.len, 0);
        }
        for (size_t len = 0; len < 54; len++) {
                make(&r, SYN | ACK, GUEST_SEQ, r.seq + 1, NULL, 0, "", 0);
                r.len = len;
                assert_int_equal(give(&r), FRAME_PROBE_PENDING);
                assert_int_equal(r.out.len, 0);
        }
        /* One with bytes behind it that fill the frame up is as good as any. */
        make(&r, SYN | ACK, GUEST_SEQ, r.seq + 1, NULL, 0, "", 0);
        r.len = 60;
        assert_int_equal(give(&r), FRAME_PROBE_GOOD);
}

static void test_ip_options(void **state) {
        struct rig r;

        rig_up(&r, TCP);
        assert_int_equal(tick(&r), FRAME_PROBE_PENDING);
        make(&r, SYN | ACK, GUEST_SEQ, r.seq + 1, NULL, 0, "", 0);
        memmove(r.frame + 38, r.frame + 34, 20);
        memset(r.frame + 34, 1, 4);
        r.frame[14] = 0x46;
        r.frame[17] = 44;
        r.len += 4;
        seal(&r, 24);
        assert_int_equal(give(&r), FRAME_PROBE_GOOD);
}

/* A million segments get FRAME_PROBE_BUDGET answers, of whatever kind they are. */
static void test_flood(void **state) {
        struct rig r;
        unsigned answers = 0;
        uint32_t end;

        rig_up(&r, HTTP);
        end = connect_to(&r) + (uint32_t) r.data_len;
        make(&r, ACK, GUEST_SEQ + 100, end, NULL, 0, "HTTP/1.1 200", 12); /* never its place */
        for (unsigned i = 0; i < 100000; i++) {
                assert_int_equal(give(&r), FRAME_PROBE_PENDING);
                answers += r.out.len > 0;
        }
        assert_true(answers < FRAME_PROBE_BUDGET);
        make(&r, SYN | ACK, GUEST_SEQ, 99, NULL, 0, "", 0);
        for (unsigned i = 0; i < 100000; i++) {
                (void) give(&r);
                answers += r.out.len > 0;
        }
        assert_true(answers < FRAME_PROBE_BUDGET);
        while (tick(&r) == FRAME_PROBE_PENDING)
                ;
        /* The next attempt is as any other. */
        (void) connect_to(&r);
}

/* An earlier connection that the guest still has is ended, and the attempt goes on. */
static void test_old_connection(void **state) {
        struct rig r;
        uint32_t seq;

        rig_up(&r, TCP);
        assert_int_equal(tick(&r), FRAME_PROBE_PENDING);
        seq = r.seq;
        assert_int_equal(say(&r, ACK, 4711, 815, ""), FRAME_PROBE_PENDING);
        assert_int_equal(r.flags, RST);
        assert_int_equal(r.seq, 815);
        assert_int_equal(tick(&r), FRAME_PROBE_PENDING);
        assert_int_equal(r.flags, SYN);
        assert_int_equal(r.seq, seq);
        assert_int_equal(say(&r, SYN | ACK, GUEST_SEQ, seq + 1, ""), FRAME_PROBE_GOOD);
}

/* Before the guest has asked for its address nothing is sent, and it is not there. */
static void test_no_link(void **state) {
        static const uint8_t broadcast[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x9a, 0x55, 0, 4, 5, 6, 8, 0};
        struct rig r;

        rig_up(&r, TCP);
        r.link.known = false;
        frame_link_note(&r.link, broadcast, sizeof broadcast);
        frame_link_note(&r.link, broadcast + 6, 13);
        assert_false(r.link.known);
        assert_int_equal(tick(&r), FRAME_PROBE_BAD);
        assert_int_equal(r.out.len, 0);
        assert_int_equal(frame_probe_due(&r.probe), r.now + INTERVAL);
}

/* Only what goes to the ports of probes is theirs. */
static void test_numbers(void **state) {
        static const struct {
                uint16_t to;
                int number;
        } cases[] = {{0, -1}, {1, 0}, {FRAME_PROBE_PORTS, 0}, {FRAME_PROBE_PORTS + 1, 1}, {2 * FRAME_PROBE_PORTS, 1},
                {2 * FRAME_PROBE_PORTS + 1, -1}, {80, -1}, {40000, -1}};
        struct rig r;

        rig_up(&r, TCP);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                r.from = cases[i].to;
                make(&r, ACK, 1, 1, NULL, 0, "", 0);
                assert_int_equal(frame_probe_number(r.frame, r.len), cases[i].number);
                r.frame[14 + 19] = 3; /* another address */
                assert_int_equal(frame_probe_number(r.frame, r.len), -1);
        }
}

/* Anything at all: nothing is read or written where it should not be. */
static void test_noise(void **state) {
        struct rig r;
        uint32_t random = 1, end = 0;

        for (unsigned i = 0; i < 20000; i++) {
                if (i % 50 == 0) {
                        rig_up(&r, HTTP);
                        end = connect_to(&r) + (uint32_t) r.data_len;
                }
                make(&r, (uint8_t) (random >> 8), GUEST_SEQ + random % 3, end - random % 2, NULL, 0, "HTTP/1.1 2",
                        random >> 16 & 7);
                for (unsigned flips = random >> 20 & 3; flips > 0; flips--) {
                        random = random * 1103515245U + 12345U;
                        r.frame[(random >> 8) % r.len] ^= (uint8_t) (random >> 24);
                }
                if (random & 0x40000000 && get(r.frame + 16, 2) == r.len - 14)
                        seal(&r, 20);
                r.from = r.probe.port;
                (void) give(&r);
                random = random * 1103515245U + 12345U;
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tcp),
                cmocka_unit_test(test_http),
                cmocka_unit_test(test_pieces),
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_lost_request),
                cmocka_unit_test(test_small_segments),
                cmocka_unit_test(test_bad_options),
                cmocka_unit_test(test_hostile),
                cmocka_unit_test(test_ip_options),
                cmocka_unit_test(test_flood),
                cmocka_unit_test(test_old_connection),
                cmocka_unit_test(test_no_link),
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_noise),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
