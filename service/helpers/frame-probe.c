/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the conversation of a probe with the guest: the segments that it sends, and what it makes of those that come. */
#include "helpers/frame-probe.h"

#include <arpa/inet.h>
#include <string.h>

#include "helpers/frame-bytes.h"
#include "shared/launch-wire.h"

#define OPTION_END 0U
#define OPTION_NOP 1U
#define OPTION_MSS 2U
#define SEGMENT_DEFAULT 536U /* RFC 9293, 3.7.1 */
#define SEGMENT_OURS 1460U
/* Below those that a program of the host may get by chance; programs that want a low one for their privilege begin at
 * 512. */
#define PORT_FIRST 1U
#define RESENDS_MAX 3U
#define RESEND_USEC (1000U * 1000U)

typedef struct Segment {
        uint16_t from, to;
        uint32_t seq, ack, window, segment_max;
        uint8_t flags;
        const uint8_t *data;
        size_t len;
} Segment;

static uint32_t tcp_sum(const uint8_t *ip, const uint8_t *tcp, size_t len) {
        return fold(sum16(tcp, len, sum16(ip + 12, 8, PROTOCOL_TCP + (uint32_t) len)));
}

static void address(const char *text, uint8_t ret[4]) {
        (void) inet_pton(AF_INET, text, ret);
}

/* ---- Frames of the guest ---- */

void frame_link_note(FrameLink *link, const uint8_t *frame, size_t len) {
        uint16_t type = len >= ETHERNET_HEADER ? get16(frame + 12) : 0;

        if ((type != TYPE_IPV4 && type != TYPE_ARP) || frame[0] & 1 || frame[6] & 1)
                return;
        memcpy(link->guest, frame, 6);
        memcpy(link->gateway, frame + 6, 6);
        link->known = true;
}

/* The TCP header of an IPv4 frame to the gateway, its length with all behind it in *ret_len; NULL: none that is
 * whole. */
static const uint8_t *find_tcp(const uint8_t *frame, size_t len, size_t *ret_len) {
        const uint8_t *ip = frame + ETHERNET_HEADER;
        size_t header, total;
        uint8_t gateway[4];

        if (len < ETHERNET_HEADER + IPV4_HEADER || get16(frame + 12) != TYPE_IPV4 || ip[0] >> 4 != 4)
                return NULL;
        header = (size_t) (ip[0] & 15) * 4;
        total = get16(ip + 2);
        address(PASST_GATEWAY, gateway);
        /* No fragment: neither "more" nor an offset. */
        if (header < IPV4_HEADER || total > len - ETHERNET_HEADER || total < header + TCP_HEADER ||
                ip[9] != PROTOCOL_TCP || get16(ip + 6) & 0x3fff || memcmp(ip + 16, gateway, sizeof gateway) != 0)
                return NULL;
        *ret_len = total - header;
        return ip + header;
}

int frame_probe_number(const uint8_t *frame, size_t len) {
        size_t tcp_len;
        const uint8_t *tcp = find_tcp(frame, len, &tcp_len);
        unsigned to = tcp ? get16(tcp + 2) : 0;

        return to >= PORT_FIRST && to < PORT_FIRST + FRAME_PROBES * FRAME_PROBE_PORTS
                       ? (int) ((to - PORT_FIRST) / FRAME_PROBE_PORTS)
                       : -1;
}

static uint32_t find_segment_max(const uint8_t *option, const uint8_t *end) {
        while (option < end && *option != OPTION_END) {
                if (*option == OPTION_NOP) {
                        option++;
                        continue;
                }
                if (end - option < 2 || option[1] < 2 || option[1] > end - option)
                        break;
                if (*option == OPTION_MSS && option[1] == 4)
                        return get16(option + 2);
                option += option[1];
        }
        return SEGMENT_DEFAULT;
}

/* False for what no TCP would take: wrong sums, lengths or sender. */
static bool parse(const uint8_t *frame, size_t len, Segment *ret) {
        const uint8_t *ip = frame + ETHERNET_HEADER, *tcp;
        size_t tcp_len = 0, header;
        uint8_t guest[4];

        tcp = find_tcp(frame, len, &tcp_len);
        if (!tcp)
                return false;
        header = (size_t) (tcp[12] >> 4) * 4;
        address(USER_NET_ADDRESS, guest);
        if (header < TCP_HEADER || header > tcp_len || memcmp(ip + 12, guest, sizeof guest) != 0 ||
                fold(sum16(ip, (size_t) (tcp - ip), 0)) != 0 || tcp_sum(ip, tcp, tcp_len) != 0)
                return false;
        *ret = (Segment){.from = get16(tcp),
                .to = get16(tcp + 2),
                .seq = get32(tcp + 4),
                .ack = get32(tcp + 8),
                .window = get16(tcp + 14),
                .flags = tcp[13],
                .segment_max = find_segment_max(tcp + TCP_HEADER, tcp + header),
                .data = tcp + header,
                .len = tcp_len - header};
        return true;
}

/* ---- Frames to the guest ---- */

/* segment: without its window and segment_max, which are ours. */
static void send_segment(FrameProbe *p, const Segment *segment, FrameOut *out) {
        uint8_t *ip = out->frame + ETHERNET_HEADER, *tcp = ip + IPV4_HEADER;
        size_t options = segment->flags & SYN ? 4 : 0, len = TCP_HEADER + options + segment->len;

        if (!p->link->known || p->budget == 0)
                return;
        p->budget--;
        memset(out->frame, 0, ETHERNET_HEADER + IPV4_HEADER + TCP_HEADER + options);
        memcpy(out->frame, p->link->guest, 6);
        memcpy(out->frame + 6, p->link->gateway, 6);
        put16(out->frame + 12, TYPE_IPV4);
        ip[0] = 0x45;
        put16(ip + 2, (uint32_t) (IPV4_HEADER + len));
        ip[6] = 0x40; /* not to be fragmented */
        ip[8] = 64;
        ip[9] = PROTOCOL_TCP;
        address(PASST_GATEWAY, ip + 12);
        address(USER_NET_ADDRESS, ip + 16);
        put16(ip + 10, fold(sum16(ip, IPV4_HEADER, 0)));
        put16(tcp, segment->from);
        put16(tcp + 2, segment->to);
        put32(tcp + 4, segment->seq);
        put32(tcp + 8, segment->flags & ACK ? segment->ack : 0);
        tcp[12] = (uint8_t) ((TCP_HEADER + options) / 4 << 4);
        tcp[13] = segment->flags;
        put16(tcp + 14, segment->flags & RST ? 0 : SEGMENT_OURS);
        if (options > 0) {
                tcp[TCP_HEADER] = OPTION_MSS;
                tcp[TCP_HEADER + 1] = 4;
                put16(tcp + TCP_HEADER + 2, SEGMENT_OURS);
        }
        if (segment->len > 0)
                memcpy(tcp + TCP_HEADER + options, segment->data, segment->len);
        put16(tcp + 16, tcp_sum(ip, tcp, len));
        out->len = ETHERNET_HEADER + IPV4_HEADER + len;
}

static void send_syn(FrameProbe *p, FrameOut *out) {
        send_segment(p, &(Segment){.from = p->port, .to = p->guest_port, .seq = p->first - 1, .flags = SYN}, out);
}

/* What the guest has not acknowledged of the request, as much as it takes at once; the acknowledgement at least. */
static void send_request(FrameProbe *p, FrameOut *out) {
        uint32_t left = (uint32_t) p->request_len - p->acked, n = left;

        n = n > p->segment ? p->segment : n;
        n = n > p->window ? p->window : n;
        send_segment(p,
                &(Segment){.from = p->port,
                        .to = p->guest_port,
                        .seq = p->first + p->acked,
                        .ack = p->expected,
                        .flags = n > 0 ? ACK | PSH : ACK,
                        .data = (const uint8_t *) p->request + p->acked,
                        .len = n},
                out);
        if (p->sent < p->acked + n)
                p->sent = p->acked + n;
}

/* Ends a connection that the guest has, or believes to have. */
static void send_reset(FrameProbe *p, uint16_t from, uint32_t seq, FrameOut *out) {
        send_segment(p, &(Segment){.from = from, .to = p->guest_port, .seq = seq, .flags = RST}, out);
}

/* ---- An attempt ---- */

static FrameProbeResult finish(FrameProbe *p, bool good) {
        p->state = FRAME_PROBE_IDLE;
        return good ? FRAME_PROBE_GOOD : FRAME_PROBE_BAD;
}

/* The end of one that has a connection. */
static FrameProbeResult hang_up(FrameProbe *p, bool good, FrameOut *out) {
        send_reset(p, p->port, p->first + p->sent, out);
        return finish(p, good);
}

static void await(FrameProbe *p, uint64_t now) {
        p->resends = 0;
        p->wait = p->timeout / 4 < RESEND_USEC ? p->timeout / 4 : RESEND_USEC;
        p->resend = now + p->wait;
}

static FrameProbeResult attempt(FrameProbe *p, uint64_t now, FrameOut *out) {
        p->next = now + p->interval;
        p->budget = FRAME_PROBE_BUDGET;
        if (!p->link->known)
                return FRAME_PROBE_BAD; /* it has not asked for its address yet */
        p->port = (uint16_t) (p->first_port + p->attempts++ % FRAME_PROBE_PORTS);
        /* RFC 9293, 3.4.1: it goes with the time, so that no number is soon used again. */
        p->first = p->seed + (uint32_t) (now / 4) + p->attempts * 65536U;
        p->acked = p->sent = 0;
        p->answer_len = 0;
        p->deadline = now + p->timeout;
        p->state = FRAME_PROBE_SYN;
        await(p, now);
        send_syn(p, out);
        return FRAME_PROBE_PENDING;
}

static FrameProbeResult on_connected(FrameProbe *p, const Segment *s, uint64_t now, FrameOut *out) {
        if (p->kind == PROBE_TCP)
                return hang_up(p, true, out);
        p->expected = s->seq + 1;
        p->window = s->window;
        p->segment = s->segment_max > 0 ? s->segment_max : SEGMENT_DEFAULT;
        p->state = FRAME_PROBE_OPEN;
        await(p, now);
        send_request(p, out);
        return FRAME_PROBE_PENDING;
}

/* Something of another connection: one of an earlier attempt, half of which the guest still has. */
static void refuse(FrameProbe *p, const Segment *s, FrameOut *out) {
        if (s->flags & ACK && !(s->flags & RST) && s->from == p->guest_port)
                send_reset(p, s->to, s->ack, out);
}

static FrameProbeResult while_connecting(FrameProbe *p, const Segment *s, uint64_t now, FrameOut *out) {
        if (!(s->flags & ACK) || s->ack != p->first) {
                refuse(p, s, out);
                return FRAME_PROBE_PENDING;
        }
        if (s->flags & RST)
                return finish(p, false);
        return s->flags & SYN ? on_connected(p, s, now, out) : FRAME_PROBE_PENDING;
}

/* Takes what is new of the segment's data; false when something before it is missing. */
static bool take_data(FrameProbe *p, const Segment *s) {
        uint32_t old = p->expected - s->seq; /* bytes of it that were here before */
        size_t n;

        if (old > s->len)
                return old <= SEGMENT_OURS; /* all of it was; or it lies ahead */
        n = s->len - old;
        if (n > sizeof p->answer - p->answer_len)
                n = sizeof p->answer - p->answer_len;
        memcpy(p->answer + p->answer_len, s->data + old, n);
        p->answer_len += n;
        p->expected += (uint32_t) (s->len - old);
        return true;
}

static void take_ack(FrameProbe *p, const Segment *s, uint64_t now) {
        uint32_t acked = s->ack - p->first;

        p->window = s->window;
        if (acked <= p->acked || acked > p->sent)
                return;
        p->acked = acked;
        await(p, now);
}

static FrameProbeResult while_open(FrameProbe *p, const Segment *s, uint64_t now, FrameOut *out) {
        uint32_t acked = p->acked;
        int status;

        if (s->flags & RST)
                return s->seq == p->expected ? finish(p, false) : FRAME_PROBE_PENDING;
        if (s->flags & SYN || !(s->flags & ACK)) {
                send_request(p, out); /* it has not heard us */
                return FRAME_PROBE_PENDING;
        }
        take_ack(p, s, now);
        if (!take_data(p, s)) {
                send_request(p, out);
                return FRAME_PROBE_PENDING;
        }
        status = p->answer_len > 0 ? http_status(p->answer, p->answer_len) : 0;
        if (status != 0)
                return hang_up(p, status >= 200 && status <= 399, out);
        if (s->flags & FIN && s->seq + (uint32_t) s->len == p->expected)
                return hang_up(p, false, out);
        if (s->len > 0 || (p->acked != acked && p->acked < p->request_len))
                send_request(p, out);
        return FRAME_PROBE_PENDING;
}

/* ---- For the user ---- */

void frame_probe_init(
        FrameProbe *p, unsigned number, const struct probe_plan *plan, const FrameLink *link, uint32_t seed) {
        *p = (FrameProbe){.link = link,
                .kind = plan->kind,
                .guest_port = plan->port,
                .first_port = (uint16_t) (PORT_FIRST + number * FRAME_PROBE_PORTS),
                .interval = plan->interval,
                .timeout = plan->timeout,
                .seed = seed};
        if (plan->kind == PROBE_HTTP)
                p->request_len = http_request(plan->path, p->request);
}

void frame_probe_begin(FrameProbe *p, uint64_t now) {
        p->state = FRAME_PROBE_IDLE;
        p->next = now;
}

void frame_probe_end(FrameProbe *p) {
        p->state = FRAME_PROBE_OFF;
}

FrameProbeResult frame_probe_take(FrameProbe *p, const uint8_t *frame, size_t len, uint64_t now, FrameOut *out) {
        Segment segment;

        out->len = 0;
        if (!parse(frame, len, &segment))
                return FRAME_PROBE_PENDING;
        if (p->state <= FRAME_PROBE_IDLE || segment.to != p->port || segment.from != p->guest_port) {
                refuse(p, &segment, out);
                return FRAME_PROBE_PENDING;
        }
        return p->state == FRAME_PROBE_SYN ? while_connecting(p, &segment, now, out)
                                           : while_open(p, &segment, now, out);
}

uint64_t frame_probe_due(const FrameProbe *p) {
        if (p->state == FRAME_PROBE_OFF)
                return UINT64_MAX;
        if (p->state == FRAME_PROBE_IDLE)
                return p->next;
        return p->resends < RESENDS_MAX && p->resend < p->deadline ? p->resend : p->deadline;
}

FrameProbeResult frame_probe_tick(FrameProbe *p, uint64_t now, FrameOut *out) {
        out->len = 0;
        if (p->state == FRAME_PROBE_OFF || now < frame_probe_due(p))
                return FRAME_PROBE_PENDING;
        if (p->state == FRAME_PROBE_IDLE)
                return attempt(p, now, out);
        if (now >= p->deadline)
                return p->state == FRAME_PROBE_OPEN ? hang_up(p, false, out) : finish(p, false);
        p->resends++;
        p->wait *= 2;
        p->resend = now + p->wait;
        if (p->state == FRAME_PROBE_SYN)
                send_syn(p, out);
        else
                send_request(p, out);
        return FRAME_PROBE_PENDING;
}
