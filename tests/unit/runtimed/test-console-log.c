/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader of the console log's ring, on rings that a good and a hostile monitor would write. */
#include "unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "shared/fd.h"
#include "store/console-log.h"

#define SEGMENT_LINES 100U
#define LINES (2 * SEGMENT_LINES + 50) /* in full_ring() */

typedef struct Bench {
        char *dir;
        Store *store;
        int fds[LOG_SEGMENTS];
} Bench;

static int setup(void **state) {
        Bench *b = g_new0(Bench, 1);
        json_t *record = json_object();

        b->dir = scratch_new();
        assert_int_equal(store_open(b->dir, &b->store), 0);
        assert_int_equal(store_vm_save(b->store, "web", record), 0);
        json_decref(record);
        for (unsigned i = 0; i < LOG_SEGMENTS; i++) {
                g_autofree char *name = g_strdup_printf("log%u", i);

                b->fds[i] = store_vm_open(b->store, "web", name, O_RDWR | O_CREAT | O_APPEND);
                assert_true(b->fds[i] >= 0);
        }
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;

        for (unsigned i = 0; i < LOG_SEGMENTS; i++)
                (void) close_fd(b->fds[i]);
        (void) store_free(b->store);
        scratch_remove(b->dir);
        g_free(b);
        return 0;
}

/* Ten lines share a time, fifty a boot; lengths differ. */
static uint64_t time_of(uint64_t seq) {
        return 1000000 + seq / 10 * 1000;
}

static uint32_t boot_of(uint64_t seq) {
        return (uint32_t) (seq / 50) + 1;
}

static void put_line(Bench *b, unsigned segment, uint64_t seq, uint64_t time, uint32_t boot) {
        char line[LOG_LINE_MAX];
        g_autofree char *text = g_strnfill(seq * 37 % 200, 'x');
        size_t len = log_line_format(line, seq, time, boot, 'p', text, strlen(text));

        assert_int_equal(write_all(b->fds[segment], line, len), 0);
}

static void put(Bench *b, unsigned segment, uint64_t from, uint64_t to) {
        for (uint64_t seq = from; seq < to; seq++)
                put_line(b, segment, seq, time_of(seq), boot_of(seq));
}

static void put_raw(Bench *b, unsigned segment, const void *data, size_t len) {
        assert_int_equal(write_all(b->fds[segment], data, len), 0);
}

/* 0..99 in log1, 100..199 in log2, 200..249 in log0: it has gone round once. */
static void full_ring(Bench *b) {
        put(b, 1, 0, SEGMENT_LINES);
        put(b, 2, SEGMENT_LINES, 2 * SEGMENT_LINES);
        put(b, 0, 2 * SEGMENT_LINES, LINES);
}

static ConsoleLog *open_log(Bench *b) {
        ConsoleLog *l = NULL;

        assert_int_equal(console_log_open(b->store, "web", &l), 0);
        return l;
}

static void assert_next(ConsoleLog *l, uint64_t seq) {
        struct log_line line;

        if (!console_log_next(l, &line))
                fail_msg("the log ends where line %" PRIu64 " should be", seq);
        if (line.seq != seq)
                fail_msg("line %" PRIu64 " where %" PRIu64 " should be", line.seq, seq);
}

static void assert_end(ConsoleLog *l) {
        struct log_line line;

        if (console_log_next(l, &line))
                fail_msg("line %" PRIu64 " where the log should end", line.seq);
}

static void assert_lines(ConsoleLog *l, uint64_t from, uint64_t to) {
        for (uint64_t seq = from; seq < to; seq++)
                assert_next(l, seq);
}

static void test_no_files(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = NULL;

        assert_int_equal(console_log_open(b->store, "other", &l), 0);
        assert_end(l);
        console_log_seek(l, LOG_BY_SEQ, 5);
        assert_end(l);
        console_log_seek_tail(l, UINT32_MAX, 10);
        assert_end(l);
        assert_null(console_log_free(NULL));
}

/* Readers that came before the first line get it. */
static void test_empty(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) fresh = open_log(b), by_seq = open_log(b), by_boot = open_log(b), tail = open_log(b);

        assert_end(fresh);
        console_log_seek(by_seq, LOG_BY_SEQ, 0);
        console_log_seek(by_boot, LOG_BY_BOOT, 1);
        console_log_seek_tail(tail, UINT32_MAX, 10);
        assert_end(tail);
        put(b, 0, 0, 3);
        assert_lines(fresh, 0, 3);
        assert_lines(by_seq, 0, 3);
        assert_lines(by_boot, 0, 3);
        assert_lines(tail, 0, 3);
        assert_end(tail);
}

static void test_ring(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);

        full_ring(b);
        assert_lines(l, 0, LINES);
        assert_end(l);
        assert_end(l);
        put(b, 0, LINES, LINES + 2);
        assert_lines(l, LINES, LINES + 2);
        assert_end(l);
}

static void test_seek_seq(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);

        full_ring(b);
        for (uint64_t seq = 0; seq < LINES; seq++) {
                console_log_seek(l, LOG_BY_SEQ, seq);
                assert_next(l, seq);
                if (seq + 1 < LINES)
                        assert_next(l, seq + 1);
        }
        console_log_seek(l, LOG_BY_SEQ, LINES);
        assert_end(l);
        console_log_seek(l, LOG_BY_SEQ, LINES + 3); /* a cursor ahead of the log: nothing before it is shown */
        put(b, 0, LINES, LINES + 5);
        assert_next(l, LINES + 3);
}

static void test_seek_boot(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);

        full_ring(b);
        for (uint32_t boot = 0; boot <= boot_of(LINES - 1); boot++) {
                console_log_seek(l, LOG_BY_BOOT, boot);
                assert_next(l, boot > 0 ? (boot - 1) * 50ULL : 0);
        }
        console_log_seek(l, LOG_BY_BOOT, boot_of(LINES - 1) + 1);
        assert_end(l);
        put(b, 0, LINES, LINES + 1); /* of the next boot */
        assert_next(l, LINES);
}

static void test_seek_time(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);

        full_ring(b);
        console_log_seek(l, LOG_BY_TIME, 0);
        assert_next(l, 0);
        for (uint64_t seq = 0; seq < LINES; seq += 10) {
                console_log_seek(l, LOG_BY_TIME, time_of(seq));
                assert_next(l, seq);
                console_log_seek(l, LOG_BY_TIME, time_of(seq) + 1);
                if (seq + 10 < LINES)
                        assert_next(l, seq + 10);
                else
                        assert_end(l);
        }
}

static void test_tail(void **state) {
        static const uint64_t counts[] = {1, 2, 49, 50, 51, 100, 150, 151, 249, 250};
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);

        full_ring(b);
        for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
                console_log_seek_tail(l, UINT32_MAX, counts[i]);
                assert_lines(l, LINES - counts[i], LINES);
                assert_end(l);
        }
        console_log_seek_tail(l, UINT32_MAX, 0);
        assert_end(l);
        console_log_seek_tail(l, UINT32_MAX, UINT64_MAX);
        assert_next(l, 0);
        console_log_seek_tail(l, 2, 10); /* the last of boot 2, which is 50..99 */
        assert_next(l, 90);
        console_log_seek_tail(l, 3, 10); /* 100..149, in the middle of a segment */
        assert_next(l, 140);
        console_log_seek_tail(l, 0, 10);
        assert_next(l, 0);
}

/* The oldest lines are overwritten under a slow reader: it loses those and no others. */
static void test_rotation(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);

        full_ring(b);
        assert_lines(l, 0, 50); /* stands in the middle of log1 */
        put(b, 0, LINES, 300);
        assert_int_equal(ftruncate(b->fds[1], 0), 0);
        put(b, 1, 300, 400); /* as long as what was there: the reader's offset is inside of it */
        assert_lines(l, 50, 400); /* what was read ahead is not lost */
        assert_end(l);
}

static void test_rotation_short(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);

        full_ring(b);
        assert_lines(l, 0, 50);
        put(b, 0, LINES, 300);
        assert_int_equal(ftruncate(b->fds[1], 0), 0);
        assert_lines(l, 50, 101);
        put(b, 1, 300, 305);
        assert_lines(l, 101, 305);
        assert_end(l);
}

/* A line that is being written is not shown before its end is there. */
static void test_half_line(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);
        char line[LOG_LINE_MAX];
        size_t len = log_line_format(line, 1, 5, 1, 'p', "slowly", 6);

        put(b, 0, 0, 1);
        put_raw(b, 0, line, 8);
        assert_next(l, 0);
        assert_end(l);
        put_raw(b, 0, line + 8, len - 8);
        assert_next(l, 1);
        assert_end(l);
}

static void test_garbage(void **state) {
        static const char garbage[] = "\n\nnot a line\n7\n1 2 3\n1 2 3 z text\n\0\xff\xfe\n18446744073709551616 1 1 p over\n1 2 3 p ctrl\033[0m\n";
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);

        put_raw(b, 0, garbage, sizeof garbage - 1);
        put(b, 0, 0, 5);
        put_raw(b, 0, garbage, sizeof garbage - 1);
        put(b, 0, 5, 10);
        put_raw(b, 1, garbage, sizeof garbage - 1);
        assert_lines(l, 0, 10);
        assert_end(l);
        for (uint64_t seq = 0; seq < 10; seq++) {
                console_log_seek(l, LOG_BY_SEQ, seq);
                assert_next(l, seq);
        }
}

/* Megabytes without a newline cost a few blocks, not a search. */
static void test_no_newline(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);
        g_autofree char *zeros = g_malloc0(LOG_SEGMENT_BYTES);

        put_raw(b, 0, zeros, LOG_SEGMENT_BYTES);
        put(b, 1, 5, 8);
        assert_lines(l, 5, 8);
        assert_end(l);
        console_log_seek(l, LOG_BY_TIME, 1);
        assert_next(l, 5);
        console_log_seek_tail(l, UINT32_MAX, 1);
        assert_next(l, 7);
}

/* The largest number there is: what follows it is nothing, and nobody goes round for ever. */
static void test_largest_seq(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);
        struct log_line line;
        unsigned n = 0;

        put_line(b, 0, 1, 1, 1);
        put_line(b, 1, UINT64_MAX, UINT64_MAX, UINT32_MAX);
        (void) alarm(20); /* instead of hanging */
        while (n < 100 && console_log_next(l, &line))
                n++;
        assert_true(n <= 2);
        console_log_seek(l, LOG_BY_BOOT, (uint64_t) UINT32_MAX + 1);
        assert_end(l);
        console_log_seek_tail(l, UINT32_MAX, 1);
        (void) console_log_next(l, &line);
        console_log_seek(l, LOG_BY_SEQ, UINT64_MAX);
        (void) console_log_next(l, &line);
        (void) alarm(0);
}

/* Numbers that go back, and segments that claim the same: an end is reached, whatever is shown. */
static void test_disorder(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);
        static const LogKey keys[] = {LOG_BY_SEQ, LOG_BY_BOOT, LOG_BY_TIME};
        struct log_line line;

        for (unsigned s = 0; s < LOG_SEGMENTS; s++)
                for (uint64_t i = 0; i < 200; i++)
                        put_line(b, s, i * 7919 % 100, i * 104729 % 1000, (uint32_t) (i * 31 % 10));
        (void) alarm(20);
        for (size_t k = 0; k < G_N_ELEMENTS(keys); k++)
                for (uint64_t value = 0; value < 1000; value += 37) {
                        unsigned n = 0;
                        uint64_t last = 0;

                        console_log_seek(l, keys[k], value);
                        while (console_log_next(l, &line)) {
                                assert_true(n == 0 || line.seq > last); /* what is shown goes forward */
                                last = line.seq;
                                assert_true(++n <= 100);
                        }
                }
        (void) alarm(0);
}

static void test_longest_lines(void **state) {
        Bench *b = *state;
        g_autoptr(ConsoleLog) l = open_log(b);
        char line[LOG_LINE_MAX], text[LOG_TEXT_MAX];

        memset(text, 0x01, sizeof text); /* each byte becomes four */
        for (uint64_t seq = 0; seq < 20; seq++)
                put_raw(b, 0, line, log_line_format(line, seq, UINT64_MAX - 100 + seq, UINT32_MAX, 'k', text, sizeof text));
        assert_lines(l, 0, 20);
        for (uint64_t seq = 0; seq < 20; seq++) {
                console_log_seek(l, LOG_BY_TIME, UINT64_MAX - 100 + seq);
                assert_next(l, seq);
                console_log_seek_tail(l, UINT32_MAX, seq + 1);
                assert_next(l, 19 - seq);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_no_files, setup, teardown),
                cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
                cmocka_unit_test_setup_teardown(test_ring, setup, teardown),
                cmocka_unit_test_setup_teardown(test_seek_seq, setup, teardown),
                cmocka_unit_test_setup_teardown(test_seek_boot, setup, teardown),
                cmocka_unit_test_setup_teardown(test_seek_time, setup, teardown),
                cmocka_unit_test_setup_teardown(test_tail, setup, teardown),
                cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
                cmocka_unit_test_setup_teardown(test_rotation_short, setup, teardown),
                cmocka_unit_test_setup_teardown(test_half_line, setup, teardown),
                cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_newline, setup, teardown),
                cmocka_unit_test_setup_teardown(test_largest_seq, setup, teardown),
                cmocka_unit_test_setup_teardown(test_disorder, setup, teardown),
                cmocka_unit_test_setup_teardown(test_longest_lines, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
