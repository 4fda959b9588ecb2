/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of callbacks that wait for one end. */
#include "core/waiter.h"

struct Waiter {
        GPtrArray *list; /* NULL while it is being fired */
        WaiterDone done;
        void *userdata;
};

GPtrArray *waiters_new(void) {
        return g_ptr_array_new();
}

Waiter *waiter_add(GPtrArray *list, WaiterDone done, void *userdata) {
        Waiter *w = g_new(Waiter, 1);

        *w = (Waiter){list, done, userdata};
        g_ptr_array_add(list, w);
        return w;
}

Waiter *waiter_cancel(Waiter *w) {
        if (!w)
                return NULL;
        if (w->list) {
                (void) g_ptr_array_remove(w->list, w);
                g_free(w);
        } else
                w->done = NULL;
        return NULL;
}

void waiters_fire(GPtrArray *list, const Problem *problem) {
        g_autoptr(GPtrArray) all = g_ptr_array_copy(list, NULL, NULL);

        g_ptr_array_set_size(list, 0);
        for (guint i = 0; i < all->len; i++)
                ((Waiter *) all->pdata[i])->list = NULL;
        for (guint i = 0; i < all->len; i++) {
                Waiter *w = all->pdata[i];

                if (w->done)
                        w->done(problem, w->userdata);
                g_free(w);
        }
}
