/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The steps between which a program of ours may die, and the way to make it die there. In an ordinary build CRASH_POINT() is
 * nothing. With -Dc_args=-DCRASH_PROGRAMS a second set of programs is built (service/crash/meson.build), which kill themselves with
 * SIGKILL at the point whose number stands in /run/mcp-crash/point, once for each byte in the FIFO /run/mcp-crash/tokens.
 * tests/host/90-crash-walk.test reads this table and walks it; a point's number is its place here.
 *
 * X(NAME, program, how the walk gets there (by + more than one way), what has just happened)
 */
/* clang-format off */
#define CRASH_POINTS(X)                                                                                                 \
        X(CREATE_LEASED, runtimed, create-net, "the address is taken, nothing is written")                              \
        X(CREATE_DIRECTORY, runtimed, create, "the VM's directory is made, and empty")                                  \
        X(RECORD_WRITTEN, runtimed, create, "a record is written under its temporary name")                             \
        X(RECORD_RENAMED, runtimed, create-net, "a record has its name, which is not durable yet")                      \
        X(CREATE_SAVED, runtimed, create-net, "the VM's record is written, nobody knows")                               \
        X(IMPORT_FILE, runtimed, import, "the image's file is made, and empty")                                         \
        X(HELPER_CLEARED, runtimed, import, "the unit's last run is over, the next is not asked for")                   \
        X(HELPER_TOLD, runtimed, import, "the helper has its orders")                                                   \
        X(IMPORT_WRITTEN, runtimed, import, "the worker has written the image")                                         \
        X(IMPORT_HASHED, runtimed, import+pull, "a second worker has hashed it")                                        \
        X(IMPORT_LINKED, runtimed, import+pull, "the image has its name, and no record")                                \
        X(IMPORT_RECORDED, runtimed, import+pull, "the image has its record, the job is not done")                      \
        X(WORKER_TOLD, worker, import, "the worker has its orders")                                                     \
        X(WORKER_WRITTEN, worker, import, "the worker has written the image and did not say so")                        \
        X(WORKER_DONE, worker, import, "the worker has said that it is done")                                           \
        X(PULL_ARCHIVE, runtimed, pull, "the archive's file is made, and empty")                                        \
        X(PULL_RESOLVED, runtimed, pull, "mcp-fetch said what the reference stands for")                                \
        X(PULL_FETCHED, runtimed, pull, "the archive is fetched, its import is next")                                   \
        X(PULL_IMPORTED, runtimed, pull, "the pulled image is there, the job is not done")                              \
        X(PULL_KNOWN, runtimed, pull-known, "the image has one more reference, the job is not done")                    \
        X(FETCH_TOLD, fetch, pull, "mcp-fetch has its orders")                                                          \
        X(FETCH_RESOLVED, fetch, pull, "mcp-fetch shall go on, nothing is fetched")                                     \
        X(FETCH_FETCHED, fetch, pull, "skopeo has fetched all, the archive is empty")                                   \
        X(FETCH_WRITTEN, fetch, pull, "the archive is written, nobody was told")                                        \
        X(FETCH_DONE, fetch, pull, "mcp-fetch has said that it is done")                                                \
        X(START_JOB, runtimed, start, "the start's job is there")                                                       \
        X(START_INITRD, runtimed, start, "the accelerator is known, the initrd is next")                                \
        X(INITRD_FILE, runtimed, start-first, "the initrd's file is made, and empty")                                   \
        X(INITRD_BUILT, runtimed, start-first, "a worker has written the initrd")                                       \
        X(INITRD_LINKED, runtimed, start-first, "the initrd has its name")                                              \
        X(START_PASST, runtimed, start-user, "passt's unit is asked for")                                               \
        X(START_PASST_UP, runtimed, start-user, "passt has bound its ports")                                            \
        X(START_TAP, runtimed, start-net, "a TAP is asked for")                                                         \
        X(START_TAP_HELD, runtimed, start-net, "the TAP is in our hands")                                               \
        X(START_FILES, runtimed, start-net, "all files of the boot are open")                                           \
        X(START_RECORDED, runtimed, start-user, "the record says starting, nothing runs")                               \
        X(START_UNIT, runtimed, start-net, "the VM's unit is asked for")                                                \
        X(START_RUNNING, runtimed, start-net, "the record says running")                                                \
        X(START_READY, runtimed, start-ready, "the guest is ready, the job is not done")                                \
        X(MONITOR_TOLD, monitor, start-net, "the monitor has its orders")                                               \
        X(MONITOR_SPAWNED, monitor, start-user, "QEMU runs")                                                            \
        X(MONITOR_RUNNING, monitor, start, "QEMU's CPUs run, nobody was told")                                          \
        X(MONITOR_READY, monitor, start-ready, "the guest is ready, nobody was told")                                   \
        X(STOP_ASKED, runtimed, stop, "the VM is stopping, its monitor does not know")                                  \
        X(STOP_SENT, runtimed, stop-net, "its monitor was told to stop it")                                             \
        X(STOP_ENDED, runtimed, stop-user, "its end is known, nothing was let go")                                      \
        X(STOP_RELEASED, runtimed, stop-user, "what it had is let go, its record says it runs")                         \
        X(STOP_RECORDED, runtimed, stop-net, "the record says stopped, the job is not done")                            \
        X(MONITOR_STOP, monitor, stop-net, "the monitor was told to stop the VM")                                       \
        X(MONITOR_ENDED, monitor, stop-user, "QEMU has ended, nothing is written")                                      \
        X(MONITOR_RECORDED, monitor, stop, "the exit record is written, nobody was told")                               \
        X(MONITOR_LAST_WORD, monitor, stop, "the daemon was told of the end")                                           \
        X(REMOVE_RENAMED, runtimed, remove, "the VM's directory has no name any more")                                  \
        X(REMOVE_FILES, runtimed, remove-net, "its files are gone, its address is not given back")                      \
        X(REMOVE_RELEASED, runtimed, remove-net, "its address is given back, nobody knows")                             \
        X(IMAGE_UNRECORDED, runtimed, image-remove, "the image's record is gone, its file is not")                      \
        X(NETWORK_RECORDED, runtimed, network, "the network's record is written")                                       \
        X(NETWORK_ASKED, runtimed, network, "its bridge is asked for")                                                  \
        X(NETWORK_UP, runtimed, network, "its bridge is up, nobody knows")                                              \
        X(NETWORK_DOWN, runtimed, network-remove, "its bridge shall go, its record is there")                           \
        X(NETWORK_UNRECORDED, runtimed, network-remove, "its record is gone")                                           \
        X(BRIDGE_GUARDED, netd, network, "a bridge has rules, and is not there")                                        \
        X(BRIDGE_MADE, netd, network, "a bridge is made, without its address")                                          \
        X(BRIDGE_UP, netd, network, "a bridge is up, the daemon does not know")                                         \
        X(TAP_MADE, netd, start-net, "a TAP is made, without guard and bridge")                                         \
        X(TAP_GUARDED, netd, start-net, "a TAP has its guard, and is in no bridge")                                     \
        X(TAP_ATTACHED, netd, start-net, "a TAP is in its bridge, the daemon does not have it")                         \
        X(TAP_REMOVED, netd, stop-net, "a TAP is gone, its rules are not")                                              \
        X(BRIDGE_REMOVED, netd, network-remove, "a bridge is gone, its rules are not")
/* clang-format on */

#ifdef MCP_CRASH_POINTS
enum crash_point {
        CRASH_POINT_NONE,
#define CRASH_POINT_ENUM(name, program, way, text) CRASH_POINT_##name,
        CRASH_POINTS(CRASH_POINT_ENUM)
#undef CRASH_POINT_ENUM
};

/* Returns, or does not. */
void crash_point_reached(enum crash_point point);
#define CRASH_POINT(name) crash_point_reached(CRASH_POINT_##name)
#else
#define CRASH_POINT(name) ((void) 0)
#endif
