/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of users, from a user database that answers, has nobody, fails, or hangs: getpwuid_r() is ours here. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <unistd.h>

#include "core/users.h"

#define HANGS 4711U
#define FAILS 4712U
#define LONG 4713U
#define NOBODY 4714U

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t let_go = PTHREAD_COND_INITIALIZER;
static bool hanging;
static unsigned n_asked;

int getpwuid_r(uid_t uid, struct passwd *pw, char *buf, size_t size, struct passwd **ret) {
        int n;

        *ret = NULL;
        (void) pthread_mutex_lock(&lock);
        n_asked++;
        while (uid == HANGS && hanging)
                (void) pthread_cond_wait(&let_go, &lock);
        (void) pthread_mutex_unlock(&lock);
        if (uid == FAILS)
                return EIO;
        if (uid == NOBODY)
                return 0;
        if (uid == LONG && size < 65536)
                return ERANGE;
        n = snprintf(buf, size, "user%u", uid);
        *pw = (struct passwd){.pw_name = buf, .pw_uid = uid};
        *ret = n > 0 ? pw : NULL;
        return 0;
}

typedef struct Told {
        Users *users;
        GString *text; /* "UID NAME " of each that was told */
        GString *known;
} Told;

static void named(uint32_t uid, const char *name, void *userdata) {
        g_string_append_printf(((Told *) userdata)->text, "%u=%s ", uid, name);
}

static void known(const char *name, void *userdata) {
        g_string_append_printf(((Told *) userdata)->known, "<%s>", name);
}

static int setup(void **state) {
        Told *t = g_new0(Told, 1);

        *t = (Told){users_new(named, t), g_string_new(NULL), g_string_new(NULL)};
        hanging = false;
        n_asked = 0;
        *state = t;
        return 0;
}

static int teardown(void **state) {
        Told *t = *state;

        (void) users_free(t->users);
        g_string_free(t->text, TRUE);
        g_string_free(t->known, TRUE);
        g_free(t);
        return 0;
}

static void turn_until(const GString *text, const char *wanted) {
        for (unsigned i = 0; i < 3000 && strcmp(text->str, wanted) != 0; i++) {
                (void) g_main_context_iteration(NULL, FALSE);
                g_usleep(1000);
        }
        assert_string_equal(text->str, wanted);
}

static void test_name(void **state) {
        Told *t = *state;

        assert_string_equal(users_name(t->users, 1000), "");
        turn_until(t->text, "1000=user1000 ");
        assert_string_equal(users_name(t->users, 1000), "user1000");
        assert_string_equal(users_name(t->users, 1000), "user1000");
        assert_int_equal(n_asked, 1); /* what is known is not asked again at once */
}

static void test_high_uids(void **state) {
        Told *t = *state;

        (void) users_name(t->users, 2147483648U);
        turn_until(t->text, "2147483648=user2147483648 ");
        (void) users_name(t->users, 4294967294U);
        turn_until(t->text, "2147483648=user2147483648 4294967294=user4294967294 ");
}

static void test_long(void **state) {
        Told *t = *state;

        (void) users_name(t->users, LONG);
        turn_until(t->text, "4713=user4713 ");
}

static void test_nobody(void **state) {
        Told *t = *state;

        users_when_known(t->users, NOBODY, known, t);
        turn_until(t->known, "<>");
        assert_string_equal(t->text->str, "4714= ");
}

/* What failed is no name, and is asked again. */
static void test_failure(void **state) {
        Told *t = *state;

        users_when_known(t->users, FAILS, known, t);
        turn_until(t->known, "<>");
        users_when_known(t->users, FAILS, known, t);
        turn_until(t->known, "<><>");
        assert_string_equal(t->text->str, "");
        assert_int_equal(n_asked, 2);
}

/* One that hangs holds up nobody, and is asked once. */
static void test_hang(void **state) {
        Told *t = *state;

        hanging = true;
        for (unsigned i = 0; i < 20; i++)
                assert_string_equal(users_name(t->users, HANGS), "");
        users_when_known(t->users, HANGS, known, t);
        users_when_known(t->users, 1001, known, t);
        turn_until(t->known, "<user1001>");
        assert_string_equal(t->text->str, "1001=user1001 ");
        (void) pthread_mutex_lock(&lock);
        assert_int_equal(n_asked, 2);
        hanging = false;
        (void) pthread_cond_broadcast(&let_go);
        (void) pthread_mutex_unlock(&lock);
        turn_until(t->known, "<user1001><user4711>");
}

/* A flood of those who wait is answered without the name. */
static void test_many_wait(void **state) {
        Told *t = *state;

        hanging = true;
        for (unsigned i = 0; i < 65; i++)
                users_when_known(t->users, HANGS, known, t);
        assert_string_equal(t->known->str, "<>");
        (void) pthread_mutex_lock(&lock);
        hanging = false;
        (void) pthread_cond_broadcast(&let_go);
        (void) pthread_mutex_unlock(&lock);
        for (unsigned i = 0; i < 3000 && t->known->len < 2 + 64 * strlen("<user4711>"); i++) {
                (void) g_main_context_iteration(NULL, FALSE);
                g_usleep(1000);
        }
        assert_int_equal(t->known->len, 2 + 64 * strlen("<user4711>"));
}

/* The daemon ends under a question: who waits is told, what comes later is forgotten. */
static void test_end(void **state) {
        Told *t = *state;

        hanging = true;
        users_when_known(t->users, HANGS, known, t);
        t->users = users_free(t->users);
        assert_string_equal(t->known->str, "<>");
        (void) pthread_mutex_lock(&lock);
        hanging = false;
        (void) pthread_cond_broadcast(&let_go);
        (void) pthread_mutex_unlock(&lock);
        for (unsigned i = 0; i < 50; i++) {
                (void) g_main_context_iteration(NULL, FALSE);
                g_usleep(1000);
        }
        assert_string_equal(t->known->str, "<>");
        assert_string_equal(t->text->str, "");
}

static void test_many(void **state) {
        Told *t = *state;

        for (uint32_t uid = 1000; uid < 5000; uid++) {
                (void) users_name(t->users, uid);
                (void) g_main_context_iteration(NULL, FALSE);
        }
        g_string_set_size(t->text, 0);
        for (unsigned i = 0; i < 500; i++) {
                (void) g_main_context_iteration(NULL, FALSE);
                g_usleep(100);
        }
        (void) users_name(t->users, 100);
        for (unsigned i = 0;
                i < 3000 && !strstr(t->text->str, " 100=user100 ") && strncmp(t->text->str, "100=", 4) != 0; i++) {
                (void) g_main_context_iteration(NULL, FALSE);
                g_usleep(1000);
        }
        assert_non_null(strstr(t->text->str, "100=user100 "));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        static const struct CMUnitTest tests[] = {
                TEST(test_name),
                TEST(test_high_uids),
                TEST(test_long),
                TEST(test_nobody),
                TEST(test_failure),
                TEST(test_hang),
                TEST(test_many_wait),
                TEST(test_end),
                TEST(test_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
