/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The probes at their relay: between a guest's socket, passt's and the monitor's. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame-sum.h"
#include "unit.h"

#include "helpers/guest-probes.h"
#include "shared/guest-wire.h"
#include "shared/launch-wire.h"
#include "shared/probe-wire.h"

struct rig {
        sd_event *event;
        FrameRelay *relay;
        GuestProbes *probes;
        int guest, passt, monitor;
        uint8_t frame[2048]; /* the last one that the guest got, without its length */
        size_t len;
};

static void on_end(int side, void *userdata) {
        fail_msg("the relay has ended");
}

static int connect_pair(int type, int *ours) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        *ours = pair[0];
        return pair[1];
}

static int open_probes(struct rig *r, const char *ready, const char *health) {
        json_t *launch = json_pack("{s:s*, s:s*}", "ready", ready, "health", health);
        int result =
                guest_probes_new(r->event, launch, connect_pair(SOCK_SEQPACKET, &r->monitor), r->relay, &r->probes);

        json_decref(launch);
        return result;
}

static void send_frame(int fd, const uint8_t *frame, size_t len) {
        uint8_t buf[2048];
        uint32_t size = htonl((uint32_t) len);

        memcpy(buf, &size, sizeof size);
        memcpy(buf + sizeof size, frame, len);
        assert_int_equal(write(fd, buf, len + sizeof size), len + sizeof size);
}

static void turn(struct rig *r) {
        while (sd_event_run(r->event, 0) > 0)
                ;
}

static void order(struct rig *r, enum probe_command command, uint8_t round) {
        struct probe_order o = {.command = (uint8_t) command, .round = round};

        assert_int_equal(send(r->monitor, &o, sizeof o, 0), sizeof o);
        turn(r);
}

static void rig_up(struct rig *r, const char *ready, const char *health) {
        static const uint8_t arp[42] = {0x52, 0x54, 0, 1, 2, 3, 0x9a, 0x55, 0, 4, 5, 6, 8, 6};
        uint8_t buf[64];
        int guest, passt;

        *r = (struct rig){.monitor = -1};
        assert_true(sd_event_new(&r->event) >= 0);
        guest = connect_pair(SOCK_STREAM, &r->guest);
        passt = connect_pair(SOCK_STREAM, &r->passt);
        assert_int_equal(frame_relay_new(r->event, guest, passt, on_end, r, &r->relay), 0);
        if (!ready && !health)
                return;
        assert_int_equal(open_probes(r, ready, health), 0);
        send_frame(r->passt, arp, sizeof arp);
        turn(r);
        assert_int_equal(read(r->guest, buf, sizeof buf), sizeof arp + 4);
}

static void rig_down(struct rig *r) {
        (void) guest_probes_free(r->probes);
        (void) frame_relay_free(r->relay);
        sd_event_unref(r->event);
        (void) close(r->guest);
        (void) close(r->passt);
        if (r->monitor >= 0)
                (void) close(r->monitor);
}

/* Whether the guest gets a frame within that time (milliseconds). */
static bool hear(struct rig *r, unsigned time) {
        uint32_t size;

        for (unsigned i = 0; i <= time; i += 10) {
                turn(r);
                if (read(r->guest, &size, sizeof size) == sizeof size) {
                        r->len = ntohl(size);
                        assert_true(r->len <= sizeof r->frame);
                        assert_int_equal(read(r->guest, r->frame, r->len), r->len);
                        return true;
                }
                (void) poll(NULL, 0, 10);
        }
        return false;
}

static void hear_syn(struct rig *r) {
        do
                assert_true(hear(r, 10000));
        while (r->frame[34 + 13] != 0x02);
}

/* The guest's answer to the SYN it has heard: of an open port or a shut one. */
static void answer(struct rig *r, bool open) {
        uint8_t f[54] = {0}, *ip = f + 14, *tcp = ip + 20;
        uint32_t ack = 0, s;

        memcpy(&ack, r->frame + 38, 4);
        ack = htonl(ntohl(ack) + 1);
        f[12] = 8;
        ip[0] = 0x45;
        ip[3] = 40;
        ip[9] = 6;
        memcpy(ip + 12, r->frame + 30, 4);
        memcpy(ip + 16, r->frame + 26, 4);
        memcpy(tcp, r->frame + 36, 2);
        memcpy(tcp + 2, r->frame + 34, 2);
        memcpy(tcp + 8, &ack, 4);
        tcp[12] = 0x50;
        tcp[13] = open ? 0x12 : 0x14;
        s = ~frame_sum(ip, 20, 0);
        ip[10] = (uint8_t) (s >> 8);
        ip[11] = (uint8_t) s;
        s = ~frame_sum(tcp, 20, frame_sum(ip + 12, 8, 26));
        tcp[16] = (uint8_t) (s >> 8);
        tcp[17] = (uint8_t) s;
        send_frame(r->guest, f, sizeof f);
        turn(r);
}

static bool word(struct rig *r, unsigned which, unsigned good, unsigned round) {
        struct probe_word w;

        turn(r);
        return recv(r->monitor, &w, sizeof w, MSG_DONTWAIT) == sizeof w && w.which == which && w.good == good &&
               w.round == round;
}

static bool is_silent(int fd) {
        uint8_t byte;

        return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

#define PLAN "tcp 80 100000 60000000"

/* Nothing before the monitor says that the guest runs; then a word of ready, once a round. */
static void test_ready(void **state) {
        struct rig r;

        rig_up(&r, PLAN, NULL);
        assert_false(hear(&r, 150));
        for (uint8_t round = 1; round < 4; round++) {
                order(&r, PROBE_BEGIN, round);
                hear_syn(&r);
                answer(&r, false);
                assert_true(is_silent(r.monitor)); /* not yet is no news */
                hear_syn(&r);
                answer(&r, true);
                assert_true(word(&r, GUEST_PROBE_READY, 1, round));
                assert_true(hear(&r, 1000)); /* RST */
                assert_false(hear(&r, 150));
        }
        assert_true(is_silent(r.passt));
        rig_down(&r);
}

static void test_health(void **state) {
        struct rig r;

        rig_up(&r, NULL, PLAN);
        order(&r, PROBE_BEGIN, 9);
        for (unsigned i = 0; i < 4; i++) {
                hear_syn(&r);
                answer(&r, i % 2);
                assert_true(word(&r, GUEST_PROBE_HEALTH, i % 2, 9));
                assert_true(is_silent(r.monitor));
        }
        assert_true(is_silent(r.passt));
        rig_down(&r);
}

/* A guest that stands still is not asked; what was under way is no result. */
static void test_pause(void **state) {
        struct rig r;

        rig_up(&r, NULL, "tcp 80 100000 100000");
        order(&r, PROBE_BEGIN, 1);
        hear_syn(&r);
        order(&r, PROBE_PAUSE, 1);
        while (hear(&r, 0))
                ;
        assert_false(hear(&r, 300));
        assert_true(is_silent(r.monitor));
        order(&r, PROBE_RESUME, 1);
        hear_syn(&r);
        answer(&r, true);
        assert_true(word(&r, GUEST_PROBE_HEALTH, 1, 1));
        rig_down(&r);
}

/* passt sees what it saw without probes, but the answers to them; the guest's bytes count no more than they are. */
static void test_others_pass(void **state) {
        uint8_t frame[60] = {[12] = 8,
                [14] = 0x45,
                [17] = 46,
                [23] = 6,
                [30] = 192,
                [32] = 2,
                [33] = 1,
                [37] = 1,
                [46] = 0x50,
                [47] = 2};
        uint8_t got[256];
        struct rig r;

        rig_up(&r, PLAN, NULL);
        send_frame(r.guest, frame, sizeof frame); /* to port 1, but of another host */
        turn(&r);
        assert_int_equal(read(r.passt, got, sizeof got), 64);
        assert_memory_equal(got + 4, frame, sizeof frame);
        assert_int_equal(inet_pton(AF_INET, PASST_GATEWAY, frame + 30), 1);
        frame[47] = 0x10;
        send_frame(r.guest, frame, sizeof frame); /* ready's */
        turn(&r);
        assert_true(is_silent(r.passt));
        frame[37] = 17;
        send_frame(r.guest, frame, sizeof frame); /* health's, which nobody asked for */
        turn(&r);
        assert_int_equal(read(r.passt, got, sizeof got), 64);
        assert_int_equal(frame_relay_bytes(r.relay, RELAY_GUEST), 120);
        rig_down(&r);
}

/* A monitor that is gone ends the probes, and nothing else. */
static void test_no_monitor(void **state) {
        struct rig r;

        rig_up(&r, NULL, PLAN);
        order(&r, PROBE_BEGIN, 1);
        hear_syn(&r);
        (void) close(r.monitor);
        r.monitor = -1;
        assert_false(hear(&r, 300));
        rig_down(&r);
}

static void test_bad_launch(void **state) {
        static const char *const bad[] = {
                "", "tcp", "tcp 0 100000 100000", "message 0 100000 100000", "http 80 100000 100000 x"};
        struct rig r;

        rig_up(&r, NULL, NULL);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                assert_int_equal(open_probes(&r, bad[i], PLAN), -EBADMSG);
                (void) close(r.monitor);
                assert_int_equal(open_probes(&r, PLAN, bad[i]), -EBADMSG);
                (void) close(r.monitor);
        }
        r.monitor = -1;
        rig_down(&r);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ready),
                cmocka_unit_test(test_health),
                cmocka_unit_test(test_pause),
                cmocka_unit_test(test_others_pass),
                cmocka_unit_test(test_no_monitor),
                cmocka_unit_test(test_bad_launch),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
