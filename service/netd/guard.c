/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd/guard.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

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

static int script_run(struct script *s, struct guard *g) {
        bool failed = ferror(s->f) != 0;
        int r = 0;

        if (fclose(s->f) != 0 || failed)
                r = -ENOMEM;
        else if (s->size > 0)
                r = run(g, s->text);
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
        r = script_run(&s, g);
        return r == -EIO ? guard_replace(g, n) : r;
}

int guard_bridge(struct guard *g, const struct bridge *b) {
        struct script s;
        int r;

        r = script_begin(&s);
        if (r < 0)
                return r;
        rules_write_bridge(s.f, b);
        return script_run(&s, g);
}

int guard_bridge_remove(struct guard *g, const char *name) {
        struct script s;
        int r;

        r = script_begin(&s);
        if (r < 0)
                return r;
        rules_write_bridge_removal(s.f, name);
        return script_run(&s, g);
}

int guard_port(struct guard *g, const struct port *p) {
        struct script s;
        int r;

        r = script_begin(&s);
        if (r < 0)
                return r;
        rules_write_port(s.f, p);
        return script_run(&s, g);
}

int guard_ports_remove(struct guard *g, const struct port *ports, size_t n) {
        struct script s;
        int r;

        r = script_begin(&s);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                rules_write_port_removal(s.f, &ports[i]);
        return script_run(&s, g);
}

int guard_replace(struct guard *g, const struct net *n) {
        struct script s;
        int r;

        r = script_begin(&s);
        if (r < 0)
                return r;
        rules_write_all(s.f, n);
        return script_run(&s, g);
}

bool guard_is_up(struct guard *g) {
        return run(g, "list chain bridge " GUARD_TABLE " guard") == 0 &&
               run(g, "list chain inet " GUARD_TABLE " input") == 0;
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
