/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The search of console output: what is a pattern, what it finds, in pieces too, and in what time. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit.h"

#include "shared/pattern.h"

static bool finds(const char *pattern, const char *text) {
        struct pattern p;
        uint64_t state = 0;
        bool whole, pieces = false;

        assert_true(pattern_compile(pattern, &p));
        whole = pattern_search(&p, &state, text, strlen(text));
        state = 0;
        for (const char *c = text; *c && !pieces; c++)
                pieces = pattern_search(&p, &state, c, 1);
        assert_int_equal(whole, pieces);
        return whole;
}

static void test_finds(void **state) {
        assert_true(finds("ready", "it is ready."));
        assert_true(finds("aab", "aaaab"));
        assert_true(finds("abab", "abaabab"));
        assert_true(finds("a*b", "a and b"));
        assert_true(finds("a*b", "ab"));
        assert_true(finds("*ready*", "ready"));
        assert_true(finds("a?c", "abc"));
        assert_true(finds("a*b*c", "aXbXbXc"));
        assert_true(finds("100\\*", "100* done"));
        assert_true(finds("\\?\\\\", "what?\\"));
        assert_true(finds("port*80", "no port\nport 80"));
        assert_true(finds("\xc3\xa4", "gr\xc3\xa4"));
        assert_true(finds("?", "\xff"));
        assert_true(finds("a", "b\na"));
}

static void test_does_not_find(void **state) {
        assert_false(finds("ready", "read y"));
        assert_false(finds("ab", "a\nb")); /* a line, not two */
        assert_false(finds("a*b", "a\nb"));
        assert_false(finds("a?b", "a\nb"));
        assert_false(finds("a?b", "ab"));
        assert_false(finds("100\\*", "100 done"));
        assert_false(finds("a", ""));
        assert_false(finds("a*b*c", "cba"));
}

static void test_no_patterns(void **state) {
        static const char *const texts[] = {"", "*", "***", "a\nb", "\t", "\x7f", "\\", "a\\", "\\a", "a\x1b[0m"};
        char long_text[PATTERN_ELEMENTS_MAX + 2], stars[PATTERN_BYTES_MAX + 2];
        struct pattern p;

        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                assert_false(pattern_compile(texts[i], &p));
        memset(long_text, 'x', sizeof long_text);
        long_text[PATTERN_ELEMENTS_MAX + 1] = 0;
        assert_false(pattern_compile(long_text, &p));
        long_text[PATTERN_ELEMENTS_MAX] = 0;
        assert_true(pattern_compile(long_text, &p));
        assert_true(finds(long_text, long_text));
        assert_false(finds(long_text, long_text + 1));
        memset(stars, '*', sizeof stars);
        stars[0] = 'x';
        stars[PATTERN_BYTES_MAX + 1] = 0;
        assert_false(pattern_compile(stars, &p));
        stars[PATTERN_BYTES_MAX] = 0;
        assert_true(pattern_compile(stars, &p));
}

/* A stream goes on after a match, and knows nothing of before. */
static void test_after_match(void **state) {
        struct pattern p;
        uint64_t s = 0;

        assert_true(pattern_compile("ab", &p));
        assert_true(pattern_search(&p, &s, "xab", 3));
        assert_int_equal(s, 0);
        assert_false(pattern_search(&p, &s, "b", 1));
        assert_true(pattern_search(&p, &s, "ab", 2));
}

static void naive_fill(char *text, size_t n, unsigned *seed) {
        for (size_t i = 0; i + 1 < n; i++) {
                *seed = *seed * 1103515245U + 12345U;
                text[i] = "ab*?\n"[*seed >> 16 & 3];
        }
        text[n - 1] = 0;
}

/* The plain way to match, for comparison. */
static bool naive_here(const char *p, const char *t) {
        if (!*p)
                return true;
        if (*p == '*')
                return naive_here(p + 1, t) || (*t && *t != '\n' && naive_here(p, t + 1));
        return *t && *t != '\n' && (*p == '?' || *p == *t) && naive_here(p + 1, t + 1);
}

static void test_against_plain_way(void **state) {
        unsigned seed = 1, found = 0;

        for (unsigned i = 0; i < 50000; i++) {
                char pattern[7], text[13];
                struct pattern p;
                bool expected = false;

                naive_fill(pattern, 2 + i % 5, &seed);
                naive_fill(text, sizeof text, &seed);
                if (!pattern_compile(pattern, &p))
                        continue;
                for (const char *t = text; *t && !expected; t++)
                        expected = naive_here(pattern, t);
                if (finds(pattern, text) != expected)
                        fail_msg("'%s' in '%s' should be %d", pattern, text, expected);
                found += expected;
        }
        assert_true(found > 1000);
}

static double seconds_for(const char *pattern, const char *text, size_t len) {
        struct timespec a, b;
        struct pattern p;
        uint64_t s = 0;

        assert_true(pattern_compile(pattern, &p));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        assert_false(pattern_search(&p, &s, text, len));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        return (double) (b.tv_sec - a.tv_sec) + (double) (b.tv_nsec - a.tv_nsec) / 1e9;
}

/* What makes others go back and forth costs no more than what does not. */
static void test_time(void **state) {
        size_t len = 8U << 20;
        char *text = malloc(len);
        double plain, nasty;

        memset(text, 'a', len);
        plain = seconds_for("zzzzzzzz", text, len);
        nasty = seconds_for("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*z", text, len);
        free(text);
        if (nasty > 20 * plain + 0.2)
                fail_msg("%.3f s, against %.3f s for a plain one", nasty, plain);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_finds),
                cmocka_unit_test(test_does_not_find),
                cmocka_unit_test(test_no_patterns),
                cmocka_unit_test(test_after_match),
                cmocka_unit_test(test_against_plain_way),
                cmocka_unit_test(test_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
