/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arithmetic of shared pools. */
#include "model/fair.h"

uint64_t fair_share(uint64_t free, uint64_t own, uint64_t others) {
        uint64_t pool = free > UINT64_MAX - own ? UINT64_MAX : free + own;
        uint64_t share = others > UINT64_MAX - 2 ? 0 : pool / (others + 2);

        return share == 0 && own == 0 && free > 0 ? 1 : share;
}

uint64_t fair_room(uint64_t free, uint64_t own, uint64_t others) {
        uint64_t share = fair_share(free, own, others);

        return share > own ? share - own : 0;
}
