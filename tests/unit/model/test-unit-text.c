/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exported units: what is quoted is read back as it was, and no word becomes another line. */
#include "unit.h"

#include <errno.h>

#include "qemu/unit-text.h"

/* One word as systemd reads it (systemd.syntax(7), extract-word.c): quotes, C's escapes, then specifiers, then
 * variables. Everything that is not written by unit_quote() is a failure. *at is moved behind it. */
static char *read_word(const char **at, bool variables) {
        GString *raw = g_string_new(NULL), *word = g_string_new(NULL);
        const char *c = *at;
        bool quoted = *c == '"';

        for (c += quoted; *c && (quoted ? *c != '"' : *c != ' '); c++) {
                assert_true((unsigned char) *c >= 0x20);
                if (*c != '\\') {
                        g_string_append_c(raw, *c);
                        continue;
                }
                assert_true(quoted);
                c++;
                if (*c == 'x') {
                        char digits[3] = {c[1], c[2], 0};

                        g_string_append_c(raw, (char) g_ascii_strtoull(digits, NULL, 16));
                        c += 2;
                } else {
                        assert_true(*c == '"' || *c == '\\');
                        g_string_append_c(raw, *c);
                }
        }
        if (quoted)
                assert_int_equal(*c++, '"');
        for (const char *r = raw->str; *r; r++) {
                if (*r == '%' || (*r == '$' && variables)) {
                        assert_int_equal(r[1], *r);
                        r++;
                }
                g_string_append_c(word, *r);
        }
        g_string_free(raw, TRUE);
        *at = c;
        return g_string_free(word, FALSE);
}

static const char *const words[] = {"plain", "/a/b-c_d.e:f=g,h@i+j", "", " ", "two words", "tab\there", "line\nbreak",
        "\r", "it's", "\"quoted\"", "back\\slash", "end\\", "\\n", "100%", "%n", "%%", "$HOME", "${A}", "$$", ";",
        "a;b", "#", "-x", "{\"driver\":\"raw\"}", "\177\001\002", "ü€", "*?[a]", "'", "`id`", "&&", "\\x41", "@", "!",
        "=", "\"", "%\"$\\\n"};

static void test_round_trip(void **state) {
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
                for (int variables = 0; variables < 2; variables++) {
                        g_autoptr(GString) text = g_string_new(NULL);
                        g_autofree char *back = NULL;
                        const char *at;

                        assert_int_equal(unit_quote(text, words[i], variables), 0);
                        assert_null(strchr(text->str, '\n'));
                        at = text->str;
                        back = read_word(&at, variables);
                        assert_string_equal(back, words[i]);
                        assert_int_equal(*at, '\0');
                }
}

static void test_every_byte(void **state) {
        for (int c = 1; c < 256; c++) {
                char word[] = {'a', (char) c, 'b', 0};
                g_autoptr(GString) text = g_string_new(NULL);
                g_autofree char *back = NULL;
                const char *at;

                if (c >= 128) { /* half a character */
                        assert_int_equal(unit_quote(text, word, true), -EINVAL);
                        assert_int_equal(text->len, 0);
                        continue;
                }
                assert_int_equal(unit_quote(text, word, true), 0);
                at = text->str;
                back = read_word(&at, true);
                assert_string_equal(back, word);
        }
}

static UnitPlan plan(const char *const *argv) {
        static const char *const none[] = {NULL}, *const read[] = {"/var/lib/mcp-runtime/a b", NULL};

        return (UnitPlan){.name = "web",
                .own_unit = "mcp-vm@web.service",
                .runner = "/usr/libexec/mcp-runtime/mcp-vm-run",
                .argv = argv,
                .read = read,
                .write = none,
                .state_directory = "/var/lib/mcp-runtime",
                .restart = "no",
                .stop_timeout = 10 * G_USEC_PER_SEC};
}

/* The command line as a whole, over its continued lines. */
static void test_command(void **state) {
        g_autofree char *text = NULL, *joined = NULL;
        g_auto(GStrv) lines = NULL;
        const char *argv[G_N_ELEMENTS(words) + 1] = {}, *word, *at;
        UnitPlan p = plan(argv);

        memcpy(argv, words, sizeof words);
        assert_int_equal(unit_text(&p, &text, &word), 0);
        lines = g_strsplit(text, " \\\n        ", -1);
        joined = g_strjoinv(" ", lines);
        at = strstr(joined, "\nExecStart=");
        assert_non_null(at);
        at += strlen("\nExecStart=");
        assert_true(g_str_has_prefix(at, p.runner));
        at += strlen(p.runner);
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
                g_autofree char *back = NULL;

                assert_int_equal(*at++, ' ');
                back = read_word(&at, true);
                assert_string_equal(back, words[i]);
        }
        assert_int_equal(*at, '\n');
        assert_non_null(strstr(text, "\nBindReadOnlyPaths=\"/var/lib/mcp-runtime/a b\"\n"));
        assert_null(strstr(text, "\nBindPaths="));
        assert_non_null(strstr(text, "\nTimeoutStopSec=15s\n"));
        assert_non_null(strstr(text, "\nNoNewPrivileges=yes\n")); /* units/hardening.conf is in it */
        assert_non_null(strstr(text, "\nPrivateNetwork=yes\n"));
        assert_null(strstr(text, "\nRuntimeDirectory"));
}

static void test_refused(void **state) {
        static const char *const argv[] = {"good", "\xff\xfe", NULL}, *const fine[] = {"good", NULL};
        const char *word = NULL;
        char *text = NULL;
        UnitPlan p = plan(argv);

        assert_int_equal(unit_text(&p, &text, &word), -EINVAL);
        assert_null(text);
        assert_ptr_equal(word, argv[1]);
        p = plan(fine);
        p.runner = "/usr/bin/a b"; /* the program's own name is not quoted */
        assert_int_equal(unit_text(&p, &text, &word), -EINVAL);
}

static void test_variants(void **state) {
        static const char *const argv[] = {"x", NULL};
        g_autofree char *text = NULL;
        const char *word;
        UnitPlan p = plan(argv);

        p.kvm = p.user_network = true;
        p.restart = "on-failure:3";
        p.display = true;
        assert_int_equal(unit_text(&p, &text, &word), 0);
        assert_non_null(strstr(text, "\nDeviceAllow=/dev/kvm rw\n"));
        assert_non_null(strstr(text, "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"));
        assert_non_null(strstr(text, "\nRestart=on-failure\n"));
        assert_null(strstr(text, "\nPrivateNetwork=yes\n"));
        assert_non_null(strstr(text, "\nRuntimeDirectory=mcp-display-web\nRuntimeDirectoryMode=0700\n"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_every_byte),
                cmocka_unit_test(test_command),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_variants),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
