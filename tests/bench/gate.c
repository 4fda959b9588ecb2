/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the gate costs: a call that polkit answers at once, by a rule, beside a bare CheckAuthorization of the same
 * action and the same call where nothing is asked, in turns. The sum of these two is the floor.
 */
#include "gate.h"

#define ROUNDS 1000U
#define WARM 50U

typedef struct Bench {
        sd_bus *root, *stranger;
        const char *subject;
        Series gated, audited, bare, ungated, refused;
} Bench;

static uint64_t time_call(sd_bus *bus, sd_bus_message *m, const char *may_fail) {
        uint64_t begin = now_monotonic();

        finish(bus, m, may_fail);
        return now_monotonic() - begin;
}

/* The owner reads her own spec without a question, the stranger by manage-vms; Pause leaves a line in the journal. */
static void time_round(Bench *b) {
        sd_bus_message *none = new_call(b->root, NAME, ROOT, MANAGER, "GetVM");

        if (sd_bus_message_append(none, "s", "mcp-bench-none") < 0)
                die("no memory");
        series_add(&b->gated, time_call(b->stranger, new_call(b->stranger, NAME, VM_PATH, VM, "GetSpec"), NULL));
        series_add(&b->bare, time_call(b->root, new_question(b->root, b->subject), NULL));
        series_add(&b->ungated, time_call(b->root, new_call(b->root, NAME, VM_PATH, VM, "GetSpec"), NULL));
        series_add(&b->audited,
                time_call(b->stranger, new_call(b->stranger, NAME, VM_PATH, VM, "Pause"), NAME ".Error.VMNotRunning"));
        series_add(&b->refused, time_call(b->root, none, NAME ".Error.NoSuchVM"));
}

static void print(Bench *b) {
        uint64_t bare = series_median(&b->bare);

        table_head();
        table_row(&b->bare, 0);
        table_row(&b->ungated, 0);
        table_row(&b->gated, bare + series_median(&b->ungated));
        table_row(&b->refused, 0);
        table_row(&b->audited, bare + series_median(&b->refused));
        (void) printf("x floor: to the bare question and the ungated call together\n");
}

static void forget_rules(void) {
        (void) unlink(RULES);
}

int main(void) {
        static Bench b = {
                .bare = {"bare CheckAuthorization, yes by a rule"},
                .ungated = {"GetSpec by the owner: nothing is asked"},
                .gated = {"GetSpec by another: manage-vms, yes by a rule"},
                .refused = {"GetVM of none: nothing is asked, an error"},
                .audited = {"Pause by another: yes, an error, a journal line"},
        };
        _cleanup_bus_ sd_bus *root = NULL, *stranger = NULL;
        const char *why = missing(&root);

        if (why)
                return skip(why);
        (void) atexit(forget_rules);
        b.root = root;
        b.stranger = stranger = connect_as(STRANGER);
        if (sd_bus_get_unique_name(stranger, &b.subject) < 0)
                die("no bus name");
        allow_stranger(root, b.subject);
        define_vm(root);
        for (unsigned i = 0; i < WARM; i++)
                time_round(&b);
        b.gated.n = b.bare.n = b.ungated.n = b.audited.n = b.refused.n = 0;
        for (unsigned i = 0; i < ROUNDS; i++)
                time_round(&b);
        print(&b);
        forget_vm(root);
        return EXIT_SUCCESS;
}
