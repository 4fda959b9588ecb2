/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The log segments: rotation, bounds, going on after an earlier boot, damage, a full disk. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/seglog.h"
#include "shared/log-line.h"

#define SEGMENT_MAX 20000U

static int files[LOG_SEGMENTS];

static int setup(void **state) {
        for (size_t i = 0; i < LOG_SEGMENTS; i++)
                files[i] = memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        return 0;
}

static int teardown(void **state) {
        for (size_t i = 0; i < LOG_SEGMENTS; i++)
                (void) close(files[i]);
        return 0;
}

static struct seglog *open_log(uint32_t boot) {
        struct seglog *log;
        int copies[LOG_SEGMENTS];

        for (size_t i = 0; i < LOG_SEGMENTS; i++)
                copies[i] = fcntl(files[i], F_DUPFD_CLOEXEC, 0);
        assert_int_equal(seglog_new(copies, LOG_SEGMENTS, SEGMENT_MAX, boot, &log), 0);
        return log;
}

static off_t size_of(int fd) {
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return st.st_size;
}

/* Reads all segments: how many good lines, first and last number; fails at a doubled number. */
static size_t collect(uint64_t *ret_first, uint64_t *ret_last) {
        size_t n = 0;
        uint64_t first = UINT64_MAX, last = 0;

        for (size_t i = 0; i < LOG_SEGMENTS; i++) {
                size_t size = (size_t) size_of(files[i]);
                char *text = malloc(size + 1), *rest = text;
                uint64_t previous = 0;

                assert_int_equal(pread(files[i], text, size, 0), size);
                text[size] = 0;
                for (char *line; (line = strsep(&rest, "\n"));) {
                        struct log_line l;

                        if (!log_line_parse(line, strlen(line), &l) || l.seq > UINT64_MAX / 2)
                                continue;
                        assert_true(l.seq > previous);
                        previous = l.seq;
                        n++;
                        if (l.seq < first)
                                first = l.seq;
                        if (l.seq > last)
                                last = l.seq;
                }
                free(text);
        }
        *ret_first = first;
        *ret_last = last;
        return n;
}

static void add_lines(struct seglog *log, size_t n) {
        char text[100];

        for (size_t i = 0; i < n; i++) {
                (void) snprintf(text, sizeof text, "line %zu of a guest that has much to say", i);
                seglog_add(log, 1, 'p', text, strlen(text));
        }
}

static void test_first_lines(void **state) {
        struct seglog *log = open_log(7);
        char buf[64] = "";

        seglog_add(log, 12, 'k', "hello", 5);
        assert_int_equal(size_of(files[0]), 0);
        seglog_flush(log);
        seglog_add(log, 13, 'p', "", 0);
        seglog_free(log);
        assert_true(pread(files[0], buf, sizeof buf, 0) > 0);
        assert_string_equal(buf, "1 12 7 k hello\n2 13 7 p \n");
}

static void test_rotation_is_bounded(void **state) {
        struct seglog *log = open_log(1);
        uint64_t first, last;
        size_t n;

        for (size_t i = 0; i < 50; i++) {
                add_lines(log, 200);
                for (size_t k = 0; k < LOG_SEGMENTS; k++)
                        assert_true(size_of(files[k]) <= SEGMENT_MAX);
        }
        seglog_free(log);
        n = collect(&first, &last);
        assert_int_equal(last, 50 * 200);
        /* What is kept is the newest, without a gap. */
        assert_int_equal(n, last - first + 1);
        assert_true(n > SEGMENT_MAX / 100);
}

static void test_goes_on_after_boots(void **state) {
        uint64_t first, last, expected = 0;
        size_t n;

        for (uint32_t boot = 1; boot < 40; boot++) {
                struct seglog *log = open_log(boot);

                add_lines(log, boot * 7);
                expected += boot * 7;
                seglog_free(log);
                n = collect(&first, &last);
                assert_int_equal(n, last - first + 1);
                assert_int_equal(last, expected);
        }
}

static void test_garbage(void **state) {
        static const char text[] = "5 1 1 p five\n18446744073709551615 1 1 p liar\n77 1 1 z nobody\n6 1 1 p six\n7 1 1 p cut o";
        uint64_t first, last;
        struct seglog *log;
        char *noise = malloc(SEGMENT_MAX);

        memset(noise, 0xa5, SEGMENT_MAX);
        assert_int_equal(pwrite(files[0], noise, SEGMENT_MAX, 0), SEGMENT_MAX);
        assert_int_equal(pwrite(files[1], text, sizeof text - 1, 0), sizeof text - 1);
        assert_int_equal(pwrite(files[2], "\n\n\n \n", 5, 0), 5);
        free(noise);

        log = open_log(2);
        add_lines(log, 1);
        seglog_free(log);
        assert_int_equal(collect(&first, &last), 4);
        assert_int_equal(last, 8);

        /* The noise is the first to go. */
        log = open_log(3);
        add_lines(log, 600);
        seglog_free(log);
        (void) collect(&first, &last);
        assert_int_equal(last, 608);
}

/* A segment whose tail is damage is read through. */
static void test_damaged_tail(void **state) {
        uint64_t first, last;
        struct seglog *log = open_log(1);
        char *noise = calloc(1, 100000);

        add_lines(log, 100);
        seglog_free(log);
        assert_int_equal(pwrite(files[0], noise, 100000, size_of(files[0])), 100000);
        free(noise);
        log = open_log(2);
        add_lines(log, 1);
        seglog_free(log);
        (void) collect(&first, &last);
        assert_int_equal(last, 101);
}

static void test_lost_lines_are_told(void **state) {
        struct rlimit small = {.rlim_cur = 300, .rlim_max = RLIM_INFINITY}, all = small;
        struct seglog *log = open_log(1);
        char buf[4096] = "";

        /* A file size limit stands for a full disk. */
        all.rlim_cur = RLIM_INFINITY;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        add_lines(log, 12);
        seglog_flush(log);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
        assert_true(size_of(files[0]) <= 300);

        seglog_add(log, 1, 'p', "after", 5);
        seglog_free(log);
        assert_true(pread(files[0], buf, sizeof buf - 1, 0) > 0);
        assert_non_null(strstr(buf, "\n13 1 1 m 12 lines of this log are missing here: File too large\n14 1 1 p after\n"));
}

static void test_no_segments(void **state) {
        struct seglog *log;

        assert_int_equal(seglog_new(NULL, 0, SEGMENT_MAX, 1, &log), 0);
        add_lines(log, 5000);
        seglog_free(log);
}

static void test_not_a_file(void **state) {
        struct seglog *log;
        int p[2], fd;

        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        fd = p[0];
        assert_int_equal(seglog_new(&fd, 1, SEGMENT_MAX, 1, &log), -EINVAL);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        (void) close(p[1]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_first_lines),
                CASE(test_rotation_is_bounded),
                CASE(test_goes_on_after_boots),
                CASE(test_garbage),
                CASE(test_damaged_tail),
                CASE(test_lost_lines_are_told),
                cmocka_unit_test(test_no_segments),
                cmocka_unit_test(test_not_a_file),
        };

        (void) signal(SIGXFSZ, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
