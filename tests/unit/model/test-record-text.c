/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The short way to JSON: never another value than the library's, and the library's word on what is none. */
#include "unit.h"

#include "model/record-text.h"

static void assert_as_library(const char *text, size_t len) {
        json_error_t error = {.line = -2}, expected_error = {.line = -2};
        json_t *expected = json_loadb(text, len, JSON_REJECT_DUPLICATES, &expected_error);
        json_t *found = record_text_parse(text, len, &error);

        if (!expected != !found || (expected && !json_equal(expected, found)))
                fail_msg("another value than the library's: %.*s", (int) MIN(len, 200), text);
        if (!expected)
                assert_int_equal(error.line, expected_error.line);
        json_decref(expected);
        json_decref(found);
}

static void test_texts(void **state) {
        static const char *const texts[] = {"", " ", "{", "}", "{}", " {} ", "{}\n", "{} x", "{}{}", "[]", "[{}]", "1",
                "\"a\"", "null", "true", "{\"a\":1}", "{\"a\":1,}", "{,}", "{\"a\"}", "{\"a\":}",
                "{\"a\" : 1 , \"b\" : [ ] }", "{\"a\":1 \"b\":2}", "{a:1}", "{\"a\":1,\"a\":1}",
                "{\"a\":{\"b\":1,\"b\":2}}", "{\"\":\"\"}", "{\"a\":-1}", "{\"a\":- 1}", "{\"a\":-0}", "{\"a\":0}",
                "{\"a\":00}", "{\"a\":01}", "{\"a\":-01}", "{\"a\":+1}", "{\"a\":1.0}", "{\"a\":1.}", "{\"a\":1e3}",
                "{\"a\":1E-3}", "{\"a\":0x10}", "{\"a\":123456789012345678}", "{\"a\":1234567890123456789}",
                "{\"a\":9223372036854775807}", "{\"a\":-9223372036854775808}", "{\"a\":9223372036854775808}",
                "{\"a\":99999999999999999999}", "{\"a\":truefalse}", "{\"a\":tru}", "{\"a\":True}", "{\"a\":nullx}",
                "{\"a\":[true,false,null]}", "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1 2]}", "{\"a\":[}", "{\"a\":]}",
                "{\"a\":\"b}", "{\"a\":\"\\\"\"}", "{\"a\":\"\\u0041\\n\"}", "{\"a\":\"\\u0000\"}",
                "{\"a\":\"\\ud800\"}", "{\"\\u0061\":1,\"a\":2}", "{\"a\":\"\x7f\"}", "{\"a\":\"\n\"}", "{\"a\":\"\n1}",
                "{\"a\":\" \t{}}", "{\"a\":[\"\n[]]}", "{\"\n\"a\":1}", "{\"a\":\"\xc3\xa9\"}", "{\"\xc3\xa9\":1}",
                "{\"a\":\"\xff\"}", "{\"a\":\"\xc0\xaf\"}", "{\"a\":\"/\"}", "{\"a\":'b'}", "\xef\xbb\xbf{}",
                "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}}}",
                "{\"a\":[[[[[[[[[[[1]]]]]]]]]]]}", "{\"a\":1}/**/", "{\"a\":1}\v", "{\"a\":1}\f",
                "\t\r\n {\t\"a\"\r:\n1\t}\r\n"};

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                g_autofree char *text = g_memdup2(texts[i], strlen(texts[i])); /* its end is seen by the sanitizer */

                assert_as_library(text, strlen(texts[i]));
        }
        assert_as_library("{}\0", 3);
        assert_as_library("{\"a\0b\":1}", 9);
        assert_as_library("{\"a\":\"b\0c\"}", 11);
}

/* A record with each of its bytes another one, or gone, and what follows with it. */
static void test_changes(void **state) {
        static const char good[] = "{\n  \"name\": \"web\",\n  \"n\": -12,\n  \"b\": true,\n  \"l\": [\"x\", 0, "
                                   "{\"k\": null}],\n  \"e\": []\n}";
        static const char others[] = "\"\\{}[]:,-+.eE0 9\n\tatfn/\x01\x7f\x80\xc3\xff";

        for (size_t i = 0; i < strlen(good); i++) {
                g_autofree char *text = g_memdup2(good, strlen(good)), *cut = g_memdup2(good, i);

                for (size_t k = 0; k < sizeof others; k++) {
                        text[i] = others[k];
                        assert_as_library(text, strlen(good));
                }
                assert_as_library(cut ? cut : "", i);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_texts),
                cmocka_unit_test(test_changes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
