/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the count of each user's questions to polkit. */
#include "bus/questions.h"

#include "shared/log.h"

#define USERS_MAX 1024U
#define LOG_USEC G_USEC_PER_SEC

typedef struct User {
        uint32_t pending;
        uint32_t refused; /* since the last line in the log */
        double tokens;
        uint64_t filled, logged;
} User;

GHashTable *questions_new(void) {
        return g_hash_table_new_full(NULL, NULL, NULL, g_free);
}

static gboolean is_idle(gpointer key, gpointer value, gpointer userdata) {
        return ((User *) value)->pending == 0;
}

static User *find_user(GHashTable *questions, uint32_t uid, uint64_t now) {
        User *u = g_hash_table_lookup(questions, GUINT_TO_POINTER(uid));

        if (u)
                return u;
        if (g_hash_table_size(questions) >= USERS_MAX)
                (void) g_hash_table_foreach_remove(questions, is_idle, NULL);
        u = g_new(User, 1);
        *u = (User){.tokens = QUESTIONS_BURST, .filled = now};
        (void) g_hash_table_insert(questions, GUINT_TO_POINTER(uid), u);
        return u;
}

static void refill(User *u, uint64_t now) {
        u->tokens += (double) (now - u->filled) * QUESTIONS_PER_SECOND / G_USEC_PER_SEC;
        u->tokens = MIN(u->tokens, QUESTIONS_BURST);
        u->filled = now;
}

static void note_refusal(User *u, uint32_t uid, uint64_t now) {
        u->refused++;
        if (u->logged && now - u->logged < LOG_USEC)
                return;
        log_warning("user %u calls faster than polkit is asked; calls refused: %u", uid, u->refused);
        u->refused = 0;
        u->logged = now;
}

bool questions_begin(GHashTable *questions, uint32_t uid, uint64_t now) {
        User *u = find_user(questions, uid, now);

        refill(u, now);
        if (u->pending >= QUESTIONS_PENDING_MAX || (u->pending > 0 && u->tokens < 1)) {
                note_refusal(u, uid, now);
                return false;
        }
        if (u->pending > 0)
                u->tokens -= 1;
        u->pending++;
        return true;
}

void questions_end(GHashTable *questions, uint32_t uid) {
        User *u = g_hash_table_lookup(questions, GUINT_TO_POINTER(uid));

        if (u && u->pending > 0)
                u->pending--;
}
