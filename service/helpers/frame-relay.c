/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the two sockets of user networking and what is on its way between them. */
#include "helpers/frame-relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "helpers/frame-ack.h"
#include "helpers/frame-guard.h"
#include "shared/fd.h"

#define HEADER sizeof(uint32_t)
#define TOLD_MAX 128U
#define ACKS_MAX 16U
#define ACK_USEC 1000U
#define BUFFER (2U * (HEADER + FRAME_MAX))

/* One direction. buf: [0, sent) has gone, [sent, ready) is whole frames that go, [ready, len) the beginning of one. */
struct flow {
        FrameRelay *relay;
        int from; /* side */
        size_t sent, ready, len;
        uint64_t bytes; /* of frames that went, without their lengths */
        uint8_t buf[BUFFER];
};

struct FrameRelay {
        sd_event *event;
        int fds[2];
        sd_event_source *io[2];
        struct flow flows[2]; /* by the side that they come from */
        FrameGuard guard;
        struct {
                size_t len;
                uint8_t frame[FRAME_ACK_MAX];
        } acks[ACKS_MAX]; /* wait until passt has read what they answer */
        size_t n_acks;
        sd_event_source *timer;
        struct {
                size_t len;
                uint8_t frame[TOLD_MAX];
        } told[FRAME_TELLS_MAX]; /* the guest's last word of its own addresses */
        FrameRelayEnd end;
        void *userdata;
        FrameRelayTap tap;
        void *tap_userdata;
};

static int other(int side) {
        return side == RELAY_GUEST ? RELAY_PASST : RELAY_GUEST;
}

static bool flow_is_blocked(const struct flow *f) {
        return f->sent < f->ready;
}

/* A side is read when what came before has gone, and written when something waits for it. */
static void watch(FrameRelay *relay) {
        for (int side = 0; side < 2; side++) {
                uint32_t events = 0;

                if (!relay->io[side])
                        continue;
                if (!flow_is_blocked(&relay->flows[side]) && relay->fds[other(side)] >= 0)
                        events |= EPOLLIN;
                if (flow_is_blocked(&relay->flows[other(side)]))
                        events |= EPOLLOUT;
                (void) sd_event_source_set_io_events(relay->io[side], events);
        }
}

/* The length of the frame at p with its header, 0 while that is not all there, -EBADMSG for what is none. */
static ssize_t frame_size(const uint8_t *p, size_t len) {
        uint32_t size;

        if (len < HEADER)
                return 0;
        memcpy(&size, p, HEADER);
        size = ntohl(size);
        if (size > FRAME_MAX)
                return -EBADMSG;
        return len < HEADER + size ? 0 : (ssize_t) (HEADER + size);
}

/* Puts a frame of ours behind the whole ones that wait. Where there is no room it is left out: the guest asks again. */
static void flow_insert(struct flow *f, const uint8_t *frame, size_t len) {
        uint32_t size = htonl((uint32_t) len);

        if (sizeof f->buf - f->len < HEADER + len)
                return;
        memmove(f->buf + f->ready + HEADER + len, f->buf + f->ready, f->len - f->ready);
        memcpy(f->buf + f->ready, &size, HEADER);
        memcpy(f->buf + f->ready + HEADER, frame, len);
        f->ready += HEADER + len;
        f->len += HEADER + len;
}

/* 0 also when the other side takes nothing now; -EPIPE when it is gone. */
static int flow_write(struct flow *f) {
        int fd = f->relay->fds[other(f->from)];

        while (fd >= 0 && f->sent < f->ready) {
                ssize_t n = write(fd, f->buf + f->sent, f->ready - f->sent);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 0 : -errno;
                f->sent += (size_t) n;
        }
        if (f->sent < f->ready)
                return 0;
        memmove(f->buf, f->buf + f->ready, f->len - f->ready);
        f->len -= f->ready;
        f->sent = f->ready = 0;
        return 0;
}

static void stop(FrameRelay *relay, int side) {
        for (int i = 0; i < 2; i++)
                if (relay->io[i])
                        (void) sd_event_source_set_enabled(relay->io[i], SD_EVENT_OFF);
        relay->end(side, relay->userdata);
}

/* What passt may leave out, see frame-ack.h. */
static void acknowledge(FrameRelay *relay, const uint8_t *frame, size_t len) {
        size_t i = relay->n_acks;

        if (i == ACKS_MAX)
                return; /* the guest asks again */
        relay->acks[i].len = frame_ack_of(frame, len, relay->acks[i].frame);
        if (relay->acks[i].len == 0)
                return;
        relay->n_acks++;
        (void) sd_event_source_set_time_relative(relay->timer, ACK_USEC);
        (void) sd_event_source_set_enabled(relay->timer, SD_EVENT_ONESHOT);
}

/* An answer to the ACK must not be in the same read of passt's as the SYN-ACK: that version would count it twice, and
 * never end. */
static int on_ack_due(sd_event_source *source, uint64_t usec, void *userdata) {
        FrameRelay *relay = userdata;
        int fd = relay->fds[RELAY_PASST], unread = 0;

        if (fd >= 0 &&
                (flow_is_blocked(&relay->flows[RELAY_GUEST]) || ioctl(fd, SIOCOUTQ, &unread) < 0 || unread > 0)) {
                (void) sd_event_source_set_time_relative(source, ACK_USEC);
                return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        }
        for (size_t i = 0; i < relay->n_acks; i++)
                flow_insert(&relay->flows[RELAY_PASST], relay->acks[i].frame, relay->acks[i].len);
        relay->n_acks = 0;
        if (flow_write(&relay->flows[RELAY_PASST]) < 0)
                stop(relay, RELAY_GUEST);
        else
                watch(relay);
        return 0;
}

static void remember(FrameRelay *relay, const uint8_t *frame, size_t len) {
        FrameTelling telling = len <= TOLD_MAX ? frame_tells(frame, len) : FRAME_TELLS_NOTHING;

        if (telling == FRAME_TELLS_NOTHING)
                return;
        memcpy(relay->told[telling].frame, frame, len);
        relay->told[telling].len = len;
}

static bool may_go(struct flow *f, const uint8_t *frame, size_t len, uint64_t now) {
        if (f->relay->tap && f->relay->tap(f->from, frame, len, f->relay->tap_userdata))
                return false;
        if (f->from == RELAY_PASST) {
                frame_guard_note(&f->relay->guard, frame, len, now);
                return true;
        }
        if (!frame_guard_allows(&f->relay->guard, frame, len, now))
                return false;
        acknowledge(f->relay, frame, len);
        remember(f->relay, frame, len);
        return true;
}

/* Moves the whole frames that may go to the front of the rest. */
static int flow_sort(struct flow *f) {
        uint64_t now = now_monotonic();
        size_t at = f->ready;
        ssize_t size;

        while ((size = frame_size(f->buf + at, f->len - at)) > 0) {
                const uint8_t *frame = f->buf + at + HEADER;

                if (may_go(f, frame, (size_t) size - HEADER, now)) {
                        memmove(f->buf + f->ready, f->buf + at, (size_t) size);
                        f->ready += (size_t) size;
                        f->bytes += (size_t) size - HEADER;
                }
                at += (size_t) size;
        }
        memmove(f->buf + f->ready, f->buf + at, f->len - at);
        f->len -= at - f->ready;
        return (int) (size < 0 ? size : 0);
}

/* 1 when something came, 0 at its end. */
static int flow_read(struct flow *f) {
        ssize_t n = read(f->relay->fds[f->from], f->buf + f->len, sizeof f->buf - f->len);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 1 : -errno;
        f->len += (size_t) n;
        return n > 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct flow *in = userdata, *out = &in->relay->flows[other(in->from)];
        FrameRelay *relay = in->relay;
        int side = in->from;

        if (revents & EPOLLOUT && flow_write(out) < 0) {
                stop(relay, side);
                return 0;
        }
        if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR) && !flow_is_blocked(in)) {
                if (flow_read(in) <= 0 || flow_sort(in) < 0) {
                        stop(relay, side);
                        return 0;
                }
                if (flow_write(in) < 0) {
                        stop(relay, other(side));
                        return 0;
                }
        } else if (!(revents & EPOLLOUT)) { /* gone while we were not to read it */
                stop(relay, side);
                return 0;
        }
        watch(relay);
        return 0;
}

/* Takes fd, also on failure. */
static int attach(FrameRelay *relay, int side, int fd) {
        int r;

        relay->fds[side] = fd;
        r = fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
        if (r >= 0)
                r = sd_event_add_io(relay->event, &relay->io[side], fd, 0, on_io, &relay->flows[side]);
        return r;
}

int frame_relay_new(sd_event *event, int guest, int passt, FrameRelayEnd end, void *userdata, FrameRelay **ret) {
        FrameRelay *relay = calloc(1, sizeof *relay);
        int r;

        if (!relay) {
                (void) close_fd(guest);
                (void) close_fd(passt);
                return -ENOMEM;
        }
        relay->event = sd_event_ref(event);
        relay->end = end;
        relay->userdata = userdata;
        relay->fds[RELAY_PASST] = -1;
        for (int side = 0; side < 2; side++) {
                relay->flows[side].relay = relay;
                relay->flows[side].from = side;
        }
        r = sd_event_add_time(event, &relay->timer, CLOCK_MONOTONIC, 0, 1, on_ack_due, relay);
        if (r >= 0)
                r = sd_event_source_set_enabled(relay->timer, SD_EVENT_OFF);
        if (r < 0) {
                (void) close_fd(guest);
                (void) close_fd(passt);
                relay->fds[RELAY_GUEST] = -1;
                (void) frame_relay_free(relay);
                return r;
        }
        r = attach(relay, RELAY_GUEST, guest);
        if (r < 0)
                (void) close_fd(passt);
        else
                r = frame_relay_connect(relay, passt);
        if (r < 0) {
                (void) frame_relay_free(relay);
                return r;
        }
        *ret = relay;
        return 0;
}

FrameRelay *frame_relay_free(FrameRelay *relay) {
        if (!relay)
                return NULL;
        for (int side = 0; side < 2; side++) {
                sd_event_source_disable_unref(relay->io[side]);
                (void) close_fd(relay->fds[side]);
        }
        sd_event_source_disable_unref(relay->timer);
        sd_event_unref(relay->event);
        free(relay);
        return NULL;
}

uint64_t frame_relay_bytes(const FrameRelay *relay, int from) {
        return relay->flows[from].bytes;
}

void frame_relay_tap(FrameRelay *relay, FrameRelayTap tap, void *userdata) {
        relay->tap = tap;
        relay->tap_userdata = userdata;
}

void frame_relay_put(FrameRelay *relay, const uint8_t *frame, size_t len) {
        flow_insert(&relay->flows[RELAY_PASST], frame, len);
        watch(relay); /* it goes when the event loop finds the guest's side writable */
}

void frame_relay_hang_up(FrameRelay *relay) {
        struct flow *to = &relay->flows[RELAY_GUEST], *from = &relay->flows[RELAY_PASST];
        size_t at = 0;

        relay->io[RELAY_PASST] = sd_event_source_disable_unref(relay->io[RELAY_PASST]);
        relay->fds[RELAY_PASST] = close_fd(relay->fds[RELAY_PASST]);
        /* The rest of a frame that the old one has the beginning of is nothing to the new one. */
        while (at < to->sent)
                at += (size_t) frame_size(to->buf + at, to->ready - at);
        to->sent = at;
        relay->n_acks = 0;
        (void) sd_event_source_set_enabled(relay->timer, SD_EVENT_OFF);
        /* And what it has begun it does not end. */
        from->len = from->ready;
        watch(relay);
}

int frame_relay_connect(FrameRelay *relay, int passt) {
        int r = attach(relay, RELAY_PASST, passt);

        if (r < 0)
                return r;
        /* passt takes the guest's addresses from its frames, and sends nothing that arrives before it has seen one. */
        for (size_t i = 0; i < FRAME_TELLS_MAX; i++)
                if (relay->told[i].len > 0)
                        flow_insert(&relay->flows[RELAY_GUEST], relay->told[i].frame, relay->told[i].len);
        for (int side = 0; side < 2; side++)
                (void) sd_event_source_set_enabled(relay->io[side], SD_EVENT_ON);
        watch(relay);
        return 0;
}
