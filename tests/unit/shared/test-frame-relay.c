/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames between QEMU and passt come whole and in order, also when passt is exchanged in the middle of one. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "helpers/frame-guard.h"
#include "helpers/frame-relay.h"

struct rig {
        sd_event *event;
        FrameRelay *relay;
        int guest, passt, ended;
};

static void on_end(int side, void *userdata) {
        ((struct rig *) userdata)->ended = side;
}

static int connect_pair(int *ours) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
        *ours = pair[0];
        return pair[1];
}

static void rig_up(struct rig *r) {
        int guest, passt;

        *r = (struct rig){.ended = -1};
        assert_true(sd_event_new(&r->event) >= 0);
        guest = connect_pair(&r->guest);
        passt = connect_pair(&r->passt);
        assert_int_equal(frame_relay_new(r->event, guest, passt, on_end, r, &r->relay), 0);
}

static void rig_down(struct rig *r) {
        (void) frame_relay_free(r->relay);
        sd_event_unref(r->event);
        (void) close(r->guest);
        (void) close(r->passt);
}

static void turn(struct rig *r) {
        while (r->ended < 0 && sd_event_run(r->event, 0) > 0)
                ;
}

/* A frame to ADDRESS of len bytes that are marked; with its length before it. Returns the whole length. */
static size_t make(uint8_t *buf, const char *to, size_t len, uint8_t mark) {
        uint32_t size = htonl((uint32_t) len);

        memcpy(buf, &size, sizeof size);
        buf += sizeof size;
        memset(buf, mark, len);
        buf[12] = 0x08;
        buf[13] = 0x00;
        buf[14] = 0x45;
        assert_int_equal(inet_pton(AF_INET, to, buf + 30), 1);
        return len + sizeof size;
}

static size_t drain(int fd, uint8_t *buf, size_t size) {
        size_t n = 0;
        ssize_t got;

        while (n < size && (got = read(fd, buf + n, size - n)) > 0)
                n += (size_t) got;
        return n;
}

/* Frames in pieces and together, good and bad in turns: only the good ones arrive, whole and in order. */
static void test_pieces(void **state) {
        uint8_t frame[128], got[4096];
        struct rig r;
        size_t n;

        rig_up(&r);
        for (unsigned i = 0; i < 20; i++) {
                size_t len = make(frame, "127.0.0.1", 34, 0xee), step = 1 + i % 7;

                len += make(frame + len, "192.0.2.1", 34, (uint8_t) i);
                for (size_t at = 0; at < len; at += step) {
                        assert_true(write(r.guest, frame + at, at + step > len ? len - at : step) > 0);
                        turn(&r);
                }
        }
        n = drain(r.passt, got, sizeof got);
        assert_int_equal(n, 20 * 38);
        for (unsigned i = 0; i < 20; i++)
                assert_int_equal(got[i * 38 + 4], i);
        /* The way back is open to everything. */
        n = make(frame, "127.0.0.1", 60, 7);
        assert_int_equal(write(r.passt, frame, n), n);
        turn(&r);
        assert_int_equal(drain(r.guest, got, sizeof got), n);
        assert_memory_equal(got, frame, n);
        rig_down(&r);
}

/* A reader that does not read stops the writer, and nothing is lost when it reads again. */
static void test_slow_reader(void **state) {
        static uint8_t frame[2048], got[1 << 20];
        size_t len = make(frame, "192.0.2.1", 1500, 1), sent = 0, n = 0;
        struct rig r;

        rig_up(&r);
        for (unsigned idle = 0; idle < 2;) {
                ssize_t w = write(r.guest, frame + sent % len, len - sent % len);

                turn(&r);
                idle = w > 0 ? 0 : idle + 1;
                sent += w > 0 ? (size_t) w : 0;
        }
        assert_true(sent > 100000);
        while (n < sent / len * len) {
                size_t more = drain(r.passt, got, sizeof got);

                assert_true(more > 0);
                n += more;
                turn(&r);
        }
        assert_int_equal(n, sent / len * len);
        assert_int_equal(r.ended, -1);
        rig_down(&r);
}

static void test_no_frames(void **state) {
        uint32_t size = htonl(FRAME_MAX + 1);
        struct rig r;

        rig_up(&r);
        assert_int_equal(write(r.guest, &size, sizeof size), sizeof size);
        turn(&r);
        assert_int_equal(r.ended, RELAY_GUEST);
        rig_down(&r);
}

static void test_ends(void **state) {
        struct rig r;

        rig_up(&r);
        (void) close(r.guest);
        turn(&r);
        assert_int_equal(r.ended, RELAY_GUEST);
        r.guest = -1;
        rig_down(&r);

        rig_up(&r);
        (void) close(r.passt);
        turn(&r);
        assert_int_equal(r.ended, RELAY_PASST);
        r.passt = -1;
        rig_down(&r);
}

/* Half a frame of the old passt is not delivered, half a frame that the old one got is not continued. */
static void test_exchange(void **state) {
        static uint8_t frame[2048], got[1 << 20];
        size_t len = make(frame, "192.0.2.1", 1500, 1), n;
        struct rig r;
        int passt;

        rig_up(&r);
        assert_int_equal(write(r.passt, frame, 700), 700);
        turn(&r);
        /* Fill the way to passt until it ends in the middle of a frame. */
        for (unsigned idle = 0; idle < 2;) {
                idle = write(r.guest, frame, len) == (ssize_t) len ? 0 : idle + 1;
                turn(&r);
        }
        frame_relay_hang_up(r.relay);
        (void) close(r.passt);
        passt = connect_pair(&r.passt);
        assert_int_equal(frame_relay_connect(r.relay, passt), 0);
        turn(&r);
        assert_int_equal(drain(r.guest, got, sizeof got), 0);
        n = drain(r.passt, got, sizeof got);
        assert_true(n >= len);
        for (size_t at = 0; at + len <= n; at += len)
                assert_memory_equal(got + at, frame, len);
        assert_int_equal(write(r.passt, frame, len), len);
        turn(&r);
        assert_int_equal(drain(r.guest, got, sizeof got), len);
        assert_memory_equal(got, frame, len);
        rig_down(&r);
}

/* What the guest has told of its addresses is told to the next passt, before all else. */
static void test_told(void **state) {
        uint8_t arp[46] = {0, 0, 0, 42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 1, 2, 3, 0x08, 0x06}, frame[128], got[4096];
        struct rig r;
        size_t n;
        int passt;

        rig_up(&r);
        assert_int_equal(write(r.guest, arp, sizeof arp), sizeof arp);
        turn(&r);
        n = make(frame, "192.0.2.1", 60, 7);
        assert_int_equal(write(r.guest, frame, n), n);
        turn(&r);
        assert_int_equal(drain(r.passt, got, sizeof got), sizeof arp + n);
        frame_relay_hang_up(r.relay);
        (void) close(r.passt);
        passt = connect_pair(&r.passt);
        assert_int_equal(frame_relay_connect(r.relay, passt), 0);
        turn(&r);
        assert_int_equal(drain(r.passt, got, sizeof got), sizeof arp);
        assert_memory_equal(got, arp, sizeof arp);
        rig_down(&r);
}

/* The ACK for a SYN-ACK goes to the guest once passt has read that, and not before. */
static void test_ack(void **state) {
        uint8_t frame[128], got[4096];
        struct rig r;
        size_t n;

        rig_up(&r);
        n = make(frame, "192.0.2.1", 54, 0);
        frame[4 + 23] = 6;
        frame[4 + 34 + 13] = 0x12;
        assert_int_equal(write(r.guest, frame, n), n);
        turn(&r);
        for (unsigned i = 0; i < 5; i++)
                (void) sd_event_run(r.event, 3000);
        assert_int_equal(drain(r.guest, got, sizeof got), 0);
        assert_int_equal(drain(r.passt, got, sizeof got), n);
        for (unsigned i = 0; i < 1000 && sd_event_run(r.event, 3000) == 0; i++)
                ;
        assert_int_equal(drain(r.guest, got, sizeof got), 58);
        assert_int_equal(got[4 + 47], 0x10);
        (void) sd_event_run(r.event, 3000);
        assert_int_equal(drain(r.guest, got, sizeof got), 0);
        rig_down(&r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pieces),
                cmocka_unit_test(test_slow_reader),
                cmocka_unit_test(test_no_frames),
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_exchange),
                cmocka_unit_test(test_told),
                cmocka_unit_test(test_ack),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
