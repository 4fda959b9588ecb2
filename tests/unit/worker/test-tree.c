/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The merge of layers, top first. In lists "/" ends a directory that was described, "/?" one that nobody described. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "tree-script.h"

static void check(const char *script, const char *expected) {
        struct tree *t = tree_new(1000);
        g_autofree char *culprit = NULL;
        g_autofree char *list = NULL;

        assert_int_equal(tree_script_merge(t, script, &culprit), 0);
        list = tree_script_list(t);
        assert_string_equal(list, expected);
        tree_free(t);
}

static void check_fails(const char *script, int error, const char *where) {
        struct tree *t = tree_new(100);
        g_autofree char *culprit = NULL;

        assert_int_equal(tree_script_merge(t, script, &culprit), error);
        if (where)
                assert_string_equal(culprit, where);
        tree_free(t);
}

static void test_order(void **state) {
        check("f b 1\nf a 2\nd d\nf d/z 3\nf d/y 4\n", "a=2 b=1 d/ d/y=4 d/z=3");
        /* Sorted by bytes, not by locale. */
        check("f a 1\nf B 2\nf \xc3\xa4 3\n", "B=2 a=1 \xc3\xa4=3");
}

static void test_upper_wins(void **state) {
        check("f a 1\n-\nf a 2\nf b 3\n-\nf b 4\n", "a=1 b=3");
}

static void test_directories_join(void **state) {
        check("d d\nf d/a 1\n-\nd d\nf d/a 2\nf d/b 3\n", "d/ d/a=1 d/b=3");
}

static void test_missing_parents(void **state) {
        check("f x/y/z 1\n", "x/? x/y/? x/y/z=1");
        /* A lower layer may describe them. */
        check("f x/y/z 1\n-\nd x\nd x/y\n", "x/ x/y/ x/y/z=1");
}

static void test_last_of_a_name_wins(void **state) {
        check("f a 1\nf a 2\n", "a=2");
        check("f a 1\nl a t\n", "a>t");
        check("d a\nf a/b 1\nf a 2\n", "a=2");
        check("f a 1\nd a\nf a/b 2\n", "a/ a/b=2");
        check("d a\nf a/b 1\nd a\n", "a/ a/b=1");
}

static void test_file_hides_directory(void **state) {
        check("f a 1\n-\nd a\nf a/b 2\n", "a=1");
        check("l a t\n-\nd a\nf a/b 2\n", "a>t");
}

static void test_directory_hides_file(void **state) {
        check("d a\nf a/b 1\n-\nf a 2\n", "a/ a/b=1");
        /* What is below the file does not come through. */
        check("d a\nf a/b 1\n-\nf a 2\n-\nd a\nf a/c 3\n", "a/ a/b=1");
        check("f a/b 1\n-\nf a 2\n-\nd a\nf a/c 3\n", "a/? a/b=1");
}

static void test_whiteout(void **state) {
        check("w a\n-\nf a 1\nf b 2\n", "b=2");
        check("w d/a\n-\nd d\nf d/a 1\nf d/b 2\n", "d/ d/b=2");
        check("w d\n-\nd d\nf d/a 1\n", "");
        /* It speaks of lower layers only, whatever the order in the tar. */
        check("w a\nf a 1\n-\nf a 2\n", "a=1");
        check("f a 1\nw a\n-\nf a 2\n", "a=1");
        /* A directory that was made anew takes nothing from the old one. */
        check("w d\nd d\nf d/new 1\n-\nd d\nf d/old 2\n", "d/ d/new=1");
        check("d d\nf d/new 1\nw d\n-\nd d\nf d/old 2\n", "d/ d/new=1");
        check("f d/new 1\nw d\n-\nd d\nf d/old 2\n", "d/? d/new=1");
        check("w d\nf d/new 1\n-\nd d\nf d/old 2\n", "d/? d/new=1");
        /* One layer removes, a higher one makes again. */
        check("f a 1\n-\nw a\n-\nf a 3\n", "a=1");
        check("f d/x 1\n-\nw d\n-\nd d\nf d/y 3\n", "d/? d/x=1");
        /* Of nothing at all. */
        check("w nothing\n-\nf a 1\n", "a=1");
}

static void test_opaque(void **state) {
        check("d d\no d\nf d/a 1\n-\nd d\nf d/b 2\n", "d/ d/a=1");
        check("o d\nd d\nf d/a 1\n-\nf d/b 2\n", "d/ d/a=1");
        check("f d/a 1\n-\no d\nf d/b 2\n-\nf d/c 3\n", "d/? d/a=1 d/b=2");
        check("o .\nf a 1\n-\nf b 2\nd c\n", "a=1");
        check("o d/e\n-\nd d\nd d/e\nf d/e/f 1\nf d/g 2\n", "d/ d/e/ d/g=2");
}

static void test_hard_links(void **state) {
        check("f a 1\nh b a\nh c b\n", "a=1*3 b=1*3 c=1*3");
        /* To a file of the layer below. */
        check("h b a\n-\nf a 1\n", "a=1*2 b=1*2");
        /* Before its target. */
        check("h b a\nf a 1\n", "a=1*2 b=1*2");
        /* The target of its own layer counts, not what an upper one put there. */
        check("f a 1\n-\nf a 2\nh b a\n", "a=1 b=2");
        check("w a\n-\nf a 2\nh b a\n", "b=2");
        check("w d\n-\nd d\nf d/a 2\nh b d/a\n", "b=2");
        /* Hidden themselves. */
        check("f b 1\n-\nf a 2\nh b a\n", "a=2 b=1");
        check("l s t\nh u s\n", "s>t u>t");
        check_fails("h b a\n", -ENOENT, "b");
        check_fails("d a\nh b a\n", -EISDIR, NULL);
        check_fails("h a a\n", -ELOOP, NULL);
        check_fails("h a b\nh b a\n", -ENOENT, NULL);
}

static void test_replaced_hard_link(void **state) {
        check("f a 1\nh b a\nf b 2\n", "a=1 b=2");
        check("h b a\nf b 2\n-\nf a 1\n", "a=1 b=2");
}

static void test_through_links(void **state) {
        /* Same layer: the entry lands where the link leads. */
        check("d usr\nd usr/bin\nl bin usr/bin\nf bin/sh 1\n", "bin>usr/bin usr/ usr/bin/ usr/bin/sh=1");
        /* The link is of a lower layer. */
        check("f bin/sh 1\n-\nd usr\nd usr/bin\nf usr/bin/sh 2\nl bin usr/bin\n",
                "bin>usr/bin usr/ usr/bin/ usr/bin/sh=1");
        /* A described directory replaces the link. */
        check("d bin\nf bin/sh 1\n-\nd usr\nl bin usr\nf usr/x 2\n", "bin/ bin/sh=1 usr/ usr/x=2");
        /* An upper link hides what a lower layer has below. */
        check("l bin usr\n-\nd bin\nf bin/sh 1\n", "bin>usr");
        /* A missing target is made. */
        check("l a b/c\nf a/x 1\n", "a>b/c b/? b/c/? b/c/x=1");
        /* Whiteouts go the same way. */
        check("w bin/sh\n-\nd usr\nf usr/sh 1\nf usr/ls 2\nl bin usr\n", "bin>usr usr/ usr/ls=2");
        /* Links to links. */
        check("l a b\nl b c\nd c\nf a/x 1\n", "a>b b>c c/ c/x=1");
        /* The name that is there already is of an upper layer. */
        check("f usr/sh 1\n-\nl bin usr\nf bin/sh 2\n", "bin>usr usr/? usr/sh=1");
        check("f bin/d/x 1\n-\nl bin usr\nd usr\nd usr/d\nf usr/d/y 2\n", "bin>usr usr/ usr/d/ usr/d/x=1 usr/d/y=2");
        /* A hard link through one. */
        check("l bin usr\nf usr/a 1\nh b bin/a\n", "b=1*2 bin>usr usr/? usr/a=1*2");
        check("l bin usr\nf usr/a 1\nh bin/b usr/a\n", "bin>usr usr/? usr/a=1*2 usr/b=1*2");
}

static void test_links_never_leave(void **state) {
        check("l a /\nf a/x 1\n", "a>/ x=1");
        check("l a ../../../etc\nf a/x 1\n", "a>../../../etc etc/? etc/x=1");
        check("l a /../../tmp\nf a/x 1\n", "a>/../../tmp tmp/? tmp/x=1");
        check("d d\nl d/l ..\nf d/l/x 1\n", "d/ d/l>.. x=1");
        check_fails("l a a\nf a/x 1\n", -ELOOP, "a");
        check_fails("l a b\nl b a\nf a/x 1\n", -ELOOP, "a");
        check_fails("f t 1\nl a t\nf a/x 1\n", -ENOTDIR, "a");
}

static void test_file_in_the_way(void **state) {
        check_fails("f a 1\nf a/b 2\n", -ENOTDIR, NULL);
        check_fails("f . 1\n", -EISDIR, NULL);
        check_fails("l . x\n", -EISDIR, NULL);
}

static void test_link_becomes_something_else(void **state) {
        check("l a b\nf a/x 1\nf a 2\n", "a=2");
        check("l a b\nf a/x 1\nd a\n", "a/ a/x=1");
        check("f a/x 1\n-\nl a b\nf a 2\n", "a/? a/x=1");
        check("l a b\nf a/x 1\nl a c\n", "a>c c/? c/x=1");
}

static void test_root(void **state) {
        struct tree *t = tree_new(10);
        g_autofree char *culprit = NULL;

        assert_int_equal(tree_script_merge(t, "d .\n-\nd .\n", &culprit), 0);
        assert_int_equal(tree_root(t)->inode->mode, S_IFDIR | 0750);
        assert_int_equal(tree_root(t)->inode->links, 2);
        tree_free(t);
}

static void test_link_counts(void **state) {
        struct tree *t = tree_new(10);
        g_autofree char *culprit = NULL;

        assert_int_equal(tree_script_merge(t, "d a\nd a/b\nd a/c\nf a/f 1\n", &culprit), 0);
        assert_int_equal(tree_find(t, "a")->inode->links, 4);
        assert_int_equal(tree_find(t, "a/b")->inode->links, 2);
        assert_int_equal(tree_root(t)->inode->links, 3);
        tree_free(t);
}

static void test_many(void **state) {
        struct tree *t = tree_new(3000);
        g_autoptr(GString) script = g_string_new(NULL);
        g_autofree char *culprit = NULL;

        /* More than the table begins with, and 3,000 names at most, the root among them. */
        for (unsigned i = 0; i < 2998; i++)
                g_string_append_printf(script, "f d/%u 1\n", i);
        assert_int_equal(tree_script_merge(t, script->str, &culprit), 0);
        assert_int_equal(tree_size(t), 3000);
        assert_non_null(tree_find(t, "d/2997"));
        assert_null(tree_find(t, "d/2998"));
        tree_free(t);

        t = tree_new(2999);
        assert_int_equal(tree_script_merge(t, script->str, &culprit), -E2BIG);
        tree_free(t);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_upper_wins),
                cmocka_unit_test(test_directories_join),
                cmocka_unit_test(test_missing_parents),
                cmocka_unit_test(test_last_of_a_name_wins),
                cmocka_unit_test(test_file_hides_directory),
                cmocka_unit_test(test_directory_hides_file),
                cmocka_unit_test(test_whiteout),
                cmocka_unit_test(test_opaque),
                cmocka_unit_test(test_hard_links),
                cmocka_unit_test(test_replaced_hard_link),
                cmocka_unit_test(test_through_links),
                cmocka_unit_test(test_links_never_leave),
                cmocka_unit_test(test_file_in_the_way),
                cmocka_unit_test(test_link_becomes_something_else),
                cmocka_unit_test(test_root),
                cmocka_unit_test(test_link_counts),
                cmocka_unit_test(test_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
