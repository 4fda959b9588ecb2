/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the text of exported units, and the one way that anything is quoted in it. */
#include "qemu/unit-text.h"

#include <errno.h>
#include <string.h>

#include "qemu/argv.h"
#include "qemu/unit-hardening.h"

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,@+-"

/* More time than the guest has: what comes after is SIGKILL. */
#define STOP_MARGIN_SEC 5U

int unit_quote(GString *text, const char *word, bool variables) {
        if (!g_utf8_validate(word, -1, NULL))
                return -EINVAL;
        if (*word && strspn(word, PLAIN) == strlen(word)) {
                g_string_append(text, word);
                return 0;
        }
        g_string_append_c(text, '"');
        for (const char *c = word; *c; c++) {
                if (*c == '"' || *c == '\\')
                        g_string_append_printf(text, "\\%c", *c);
                else if (*c == '%' || (*c == '$' && variables))
                        g_string_append_printf(text, "%c%c", *c, *c);
                else if ((unsigned char) *c < 0x20 || *c == 0x7f)
                        g_string_append_printf(text, "\\x%02x", (unsigned char) *c);
                else
                        g_string_append_c(text, *c);
        }
        g_string_append_c(text, '"');
        return 0;
}

/* One assignment of a list of words; nothing for an empty one. */
static int add_words(GString *text, const char *key, const char *const *words, bool variables, const char **ret_word) {
        if (!*words)
                return 0;
        g_string_append_printf(text, "%s=", key);
        for (size_t i = 0; words[i]; i++) {
                if (i > 0)
                        g_string_append_c(text, ' ');
                if (unit_quote(text, words[i], variables) < 0) {
                        *ret_word = words[i];
                        return -EINVAL;
                }
        }
        g_string_append_c(text, '\n');
        return 0;
}

/* A line break for every option, for a reader. */
static int add_command(GString *text, const UnitPlan *plan, const char **ret_word) {
        if (strspn(plan->runner, PLAIN) != strlen(plan->runner)) {
                *ret_word = plan->runner;
                return -EINVAL;
        }
        g_string_append_printf(text, "ExecStart=%s", plan->runner);
        for (const char *const *a = plan->argv; *a; a++) {
                g_string_append(text, **a == '-' ? " \\\n        " : " ");
                if (unit_quote(text, *a, true) < 0) {
                        *ret_word = *a;
                        return -EINVAL;
                }
        }
        g_string_append_c(text, '\n');
        return 0;
}

static void add_head(GString *text, const UnitPlan *plan) {
        g_string_append_printf(text,
                "# Virtual machine %s, as it runs without mcp-runtimed. ExportUnit wrote it, and with it the files in "
                "its\n"
                "# directory that it names: after an update of the VM, or of its kernel, export it again.\n"
                "[Unit]\n"
                "Description=Virtual machine %s\n"
                "Conflicts=%s\n"
                "After=network.target %s\n"
                "\n"
                "[Service]\n"
                "Type=exec\n",
                plan->name, plan->name, plan->own_unit, plan->own_unit);
}

static const char *restart_of(const char *policy) {
        if (g_str_has_prefix(policy, "on-failure"))
                return "on-failure";
        return strcmp(policy, "no") == 0 ? "no" : "always";
}

static void add_privileges(GString *text, const UnitPlan *plan) {
        g_autofree char *path = g_strdup_printf(UNIT_RUNTIME_DIRECTORY, plan->name);
        const char *directory = path + strlen("/run/");

        g_string_append(text, "DynamicUser=yes\n");
        if (plan->display)
                g_string_append_printf(text,
                        "# The display, for a VNC viewer of root's: " UNIT_RUNTIME_DIRECTORY "/vnc\n"
                        "RuntimeDirectory=%s\nRuntimeDirectoryMode=0700\n",
                        plan->name, directory);
        if (plan->kvm)
                g_string_append(text, "SupplementaryGroups=kvm\n");
        g_string_append_printf(text,
                "# The guest's power button first; what is left after that time is killed.\n"
                "KillMode=mixed\n"
                "TimeoutStopSec=%" G_GUINT64_FORMAT "s\n"
                "Restart=%s\n"
                "LimitCORE=0\n"
                "TasksMax=512\n"
                "%s\n",
                plan->stop_timeout / G_USEC_PER_SEC + STOP_MARGIN_SEC, restart_of(plan->restart), UNIT_HARDENING);
        if (plan->kvm)
                g_string_append(text, "BindPaths=/dev/kvm\nDeviceAllow=/dev/kvm rw\n");
        g_string_append(text, "# No MemoryDenyWriteExecute=: TCG makes code at run time.\nProcSubset=pid\n");
        if (!plan->user_network) {
                g_string_append(text, "PrivateNetwork=yes\nPrivateUsers=yes\nRestrictAddressFamilies=AF_UNIX\n"
                                      "RestrictNamespaces=yes\nSystemCallFilter=@system-service seccomp\n"
                        "SystemCallFilter=~@privileged @resources\n");
        } else {
                g_string_append(text,
                        "# passt is an ordinary network program, and makes namespaces to lock itself in.\n"
                        "IPAddressDeny=\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
                        "SystemCallFilter=@system-service seccomp @mount\nSystemCallFilter=~@resources\n"
                        "# For passt alone, which drops everything else: mcp-vm-run keeps it from QEMU.\n"
                        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n");
        }
        g_string_append(text, "SystemCallErrorNumber=EPERM\n");
        g_string_append(text,
                "InaccessiblePaths=-/srv -/opt -/mnt -/media -/var/cache -/var/log -/var/spool -/run/dbus "
                "-/run/systemd/private -/run/mcp-runtime\n");
}

int unit_text(const UnitPlan *plan, char **ret, const char **ret_word) {
        GString *text = g_string_new(NULL);
        int r;

        add_head(text, plan);
        r = add_command(text, plan, ret_word);
        if (r >= 0) {
                add_privileges(text, plan);
                g_string_append(text, "# Of the state directory these files are there, and nothing else.\n");
                g_string_append(text, "TemporaryFileSystem=/var/lib:ro\n");
                r = add_words(text, "BindReadOnlyPaths", plan->read, false, ret_word);
        }
        if (r >= 0)
                r = add_words(text, "BindPaths", plan->write, false, ret_word);
        g_string_append(text, "\n[Install]\nWantedBy=multi-user.target\n");
        if (r < 0)
                g_string_free(text, TRUE);
        else
                *ret = g_string_free(text, FALSE);
        return r;
}
