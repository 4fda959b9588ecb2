/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd/guard.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

#include "shared/fnv.h"

int guard_open(struct guard *g) {
        *g = (struct guard){.ctx = nft_ctx_new(NFT_CTX_DEFAULT)};
        if (!g->ctx)
                return -ENOMEM;
        if (nft_ctx_buffer_output(g->ctx) != 0 || nft_ctx_buffer_error(g->ctx) != 0) {
                guard_close(g);
                return -ENOMEM;
        }
        nft_ctx_output_set_flags(g->ctx, NFT_CTX_OUTPUT_NUMERIC_ALL);
        return 0;
}

void guard_close(struct guard *g) {
        if (g->ctx)
                nft_ctx_free(g->ctx);
        g->ctx = NULL;
}

/* nft points into the text with more lines; the first says what it is. */
static void keep_error(struct guard *g) {
        const char *text = nft_ctx_get_error_buffer(g->ctx);

        (void) snprintf(g->error, sizeof g->error, "%.*s", (int) strcspn(text, "\n"), text);
        if (*g->error == 0)
                (void) snprintf(g->error, sizeof g->error, "nftables gave no reason");
}

static int run(struct guard *g, const char *text) {
        if (nft_run_cmd_from_buffer(g->ctx, text) == 0)
                return 0;
        keep_error(g);
        return -EIO;
}

/* All of our tables but counters and identities as one number: whether somebody else has changed them. One list a time,
 * for libnftables looks for all of them in the family of the first. */
static int take_picture(struct guard *g, uint64_t *ret) {
        static const char *const lists[] = {
                "-table bridge " GUARD_TABLE,
                "-table inet " GUARD_TABLE,
                "set bridge " GUARD_TABLE " gateways",
                "set inet " GUARD_TABLE " managed",
                "set inet " GUARD_TABLE " within",
                "map inet " GUARD_TABLE " bridges",
        };
        uint64_t picture = FNV1A_BEGIN;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < sizeof lists / sizeof *lists; i++) {
                bool whole = lists[i][0] == '-'; /* without elements, with everything else */
                char command[64];

                (void) snprintf(command, sizeof command, "list %s", lists[i] + whole);
                nft_ctx_output_set_flags(g->ctx,
                        NFT_CTX_OUTPUT_NUMERIC_ALL | (whole ? NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_TERSE : 0U));
                r = run(g, command);
                if (r >= 0)
                        picture = fnv1a(picture, nft_ctx_get_output_buffer(g->ctx));
        }
        nft_ctx_output_set_flags(g->ctx, NFT_CTX_OUTPUT_NUMERIC_ALL);
        if (r >= 0)
                *ret = picture;
        return r;
}

static bool picture_is_kept(struct guard *g) {
        uint64_t picture;

        return take_picture(g, &picture) >= 0 && picture == g->picture;
}

/* A text in the making. */
struct script {
        FILE *f;
        char *text;
        size_t size;
};

static int script_begin(struct script *s) {
        s->text = NULL;
        s->f = open_memstream(&s->text, &s->size);
        return s->f ? 0 : -ENOMEM;
}

enum change {
        CHANGE_IDENTITIES, /* which are no part of the picture */
        CHANGE_PART,
        CHANGE_ALL, /* whatever was there before */
};

/* The picture after it is ours if the one before it was: else the next look shall find the difference. */
static int run_change(struct guard *g, const char *text, enum change change) {
        bool kept = change == CHANGE_ALL || (change == CHANGE_PART && picture_is_kept(g));
        int r = run(g, text);

        if (r >= 0 && change != CHANGE_IDENTITIES && (!kept || take_picture(g, &g->picture) < 0))
                g->picture = 0;
        return r;
}

static int script_run(struct script *s, struct guard *g, enum change change) {
        bool failed = ferror(s->f) != 0;
        int r = 0;

        if (fclose(s->f) != 0 || failed)
                r = -ENOMEM;
        else if (s->size > 0)
                r = run_change(g, s->text, change);
        free(s->text);
        return r;
}

int guard_prepare(struct guard *g, const struct net *n) {
        struct script s;
        int r;

        r = script_begin(&s);
        if (r < 0)
                return r;
        rules_write_base(s.f);
        r = script_run(&s, g, CHANGE_ALL);
        return r == -EIO ? guard_replace(g, n) : r;
}

int guard_bridge(struct guard *g, const struct bridge *b) {
        struct script s;
        int r;

        r = script_begin(&s);
        if (r < 0)
                return r;
        rules_write_bridge(s.f, b);
        return script_run(&s, g, CHANGE_PART);
}

int guard_bridge_remove(struct guard *g, const char *name) {
        struct script s;
        int r;

        r = script_begin(&s);
        if (r < 0)
                return r;
        rules_write_bridge_removal(s.f, name);
        return script_run(&s, g, CHANGE_PART);
}

int guard_port(struct guard *g, const struct port *p) {
        struct script s;
        int r;

        r = script_begin(&s);
        if (r < 0)
                return r;
        rules_write_port(s.f, p);
        return script_run(&s, g, CHANGE_IDENTITIES);
}

int guard_ports_remove(struct guard *g, const struct port *ports, size_t n) {
        struct script s;
        int r;

        r = script_begin(&s);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                rules_write_port_removal(s.f, &ports[i]);
        return script_run(&s, g, CHANGE_IDENTITIES);
}

int guard_replace(struct guard *g, const struct net *n) {
        struct script s;
        int r;

        r = script_begin(&s);
        if (r < 0)
                return r;
        rules_write_all(s.f, n);
        return script_run(&s, g, CHANGE_ALL);
}

int guard_identities(struct guard *g, RulesFound found, void *userdata) {
        char *text;
        int r;

        r = run(g, "list set bridge " GUARD_TABLE " identities");
        if (r < 0)
                return r;
        text = strdup(nft_ctx_get_output_buffer(g->ctx));
        if (!text)
                return -ENOMEM;
        (void) rules_parse_identities(text, found, userdata);
        free(text);
        return 0;
}

struct identities {
        const struct net *net;
        size_t found;
};

static void compare_identity(const char *interface, const uint8_t mac[static 6], uint32_t address, void *userdata) {
        struct identities *ids = userdata;

        for (size_t i = 0; i < ids->net->n_ports; i++) {
                const struct port *p = &ids->net->ports[i];

                ids->found += p->identified && p->ifindex != 0 && p->address == address &&
                              strcmp(p->name, interface) == 0 && memcmp(p->mac, mac, sizeof p->mac) == 0;
        }
}

/* All VMs have theirs. */
static bool identities_are_whole(struct guard *g, const struct net *n) {
        struct identities ids = {.net = n};
        size_t wanted = 0;

        for (size_t i = 0; i < n->n_ports; i++)
                wanted += n->ports[i].identified && n->ports[i].ifindex != 0;
        return wanted == 0 || (guard_identities(g, compare_identity, &ids) >= 0 && ids.found >= wanted);
}

bool guard_is_whole(struct guard *g, const struct net *n) {
        return picture_is_kept(g) && identities_are_whole(g, n);
}

int guard_counters(struct guard *g, struct netd_counters *ret) {
        struct netd_counters c;
        const char *text;
        int r;

        r = run(g, "list counters table bridge " GUARD_TABLE);
        if (r < 0)
                return r;
        text = nft_ctx_get_output_buffer(g->ctx);
        c.spoofed = rules_parse_counter(text, "spoofed");
        c.offers = rules_parse_counter(text, "offers");
        c.crossed = rules_parse_counter(text, "crossed");
        r = run(g, "list counters table inet " GUARD_TABLE);
        if (r < 0)
                return r;
        text = nft_ctx_get_output_buffer(g->ctx);
        c.refused = rules_parse_counter(text, "refused");
        c.routed = rules_parse_counter(text, "routed");
        *ret = c;
        return 0;
}
