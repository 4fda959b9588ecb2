/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what tests do with the VM web. */
#include "web.h"

void run_web(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(
                r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 2, "Image", "s", REFERENCE, "Accelerator", "s", "tcg");

        assert_good(reply);
}

FakeHelper *launch_web(Rig *r) {
        r->play[KIND_VM] = play_nothing;
        run_web(r);
        until(r, fake_heard(fake_find(r, MONITOR), "launch"));
        return fake_find(r, MONITOR);
}

FakeHelper *ready_web(Rig *r) {
        run_web(r);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        rig_settle(r);
        return fake_find(r, MONITOR);
}

void until_state(Rig *r, const char *state) {
        g_autofree char *text = g_strconcat("changed /vm/web State=", state, NULL);

        until(r, trace_has(r, text));
        assert_property(r, WEB, VM, "State", state);
        rig_settle(r);
}

void assert_startable(Rig *r) {
        g_autoptr(sd_bus_message) reply = NULL;

        r->play[KIND_VM] = play_monitor;
        trace_clear(r);
        reply = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(reply);
        until(r, trace_has(r, "changed /vm/web Ready=true"));
        assert_property(r, WEB, VM, "State", "running");
}

void restart(Rig *r, int sig) {
        rig_stop_daemon(r, sig);
        for (guint i = 0; i < r->helpers->len; i++)
                fake_close(r->helpers->pdata[i]);
        trace_clear(r);
        rig_start_daemon(r);
}
