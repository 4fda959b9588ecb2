/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Kernel settings of every guest. Needs /proc and /sys; what cannot be set is reported and passed over. */
void settings_apply(void);
