/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes vars (read-write) a copy of template, unless it has the template's size already: then it is the VM's own. A
 * copy that did not come to its end is made anew. 0 or a negative errno. */
int uefi_vars_make(int vars, int template);
