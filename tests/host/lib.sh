# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For the tests of the host ring. A test is a bash script:
#     . "$(dirname "$0")/lib.sh"
#     check "the manager answers" mcp ListVMs 'a{sv}' 0
# It runs as root in an empty directory of its own ($MCP_TEST_DIR), removed afterwards. Its exit
# status is 0 when all checks passed. $MCP_SOAK is set when the long counts are wanted, $MCP_SANITIZED where
# the programs carry sanitizers.
set -uo pipefail
[ ! -e /etc/systemd/system/mcp-runtimed.service.d/sanitize.conf ] || MCP_SANITIZED=1

_failed=0
_output=$(mktemp)
_at_end=()
trap '_end $?' EXIT

_end() {
    local command
    trap - EXIT
    for command in "${_at_end[@]}"; do
        eval "$command" >/dev/null 2>&1
    done
    rm -f "$_output"
    [ "$1" -eq 0 ] && [ "$_failed" -gt 0 ] && exit 1
    exit "$1"
}

# at_end COMMAND: runs when the test ends, however it ends; the last one first
at_end() {
    _at_end=("$*" "${_at_end[@]}")
}

note() {
    echo "# ${*//$'\n'/$'\n'# }"
}

pass() {
    echo "ok - $*"
}

fail() {
    _failed=$((_failed + 1))
    echo "not ok - $*"
}

# skip TEXT WHY: the test was not made
skip() {
    echo "ok - $1 # SKIP ${2:-}"
}

# check TEXT COMMAND...: passes when the command succeeds; what it printed is shown when not
check() {
    local text=$1 status
    shift
    if "$@" >"$_output" 2>&1; then
        pass "$text"
    else
        status=$?
        fail "$text"
        note "status $status: $*"
        note "$(head -c 4000 "$_output")"
        return 1
    fi
}

# check_not TEXT COMMAND...: passes when it fails
check_not() {
    local text=$1
    shift
    if "$@" >"$_output" 2>&1; then
        fail "$text"
        note "this worked: $*"
        note "$(head -c 4000 "$_output")"
        return 1
    fi
    pass "$text"
}

# equal TEXT WANTED GOT
equal() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1"
        note "wanted: $2"
        note "got:    $3"
        return 1
    fi
}

# matches TEXT REGEX GOT
matches() {
    if [[ $3 =~ $2 ]]; then
        pass "$1"
    else
        fail "$1"
        note "wanted something like: $2"
        note "got: $3"
        return 1
    fi
}

# eventually SECONDS COMMAND...: true as soon as the command is. The seconds are what a quiet machine takes at most; a busy
# one, which is nothing that is tested, gets four times as long.
eventually() {
    local end=$((SECONDS + 4 * $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# settled FILE: until it has not grown for a second, for what somebody writes who is not waited for
settled() {
    local before=-1 size
    until size=$(stat -c %s "$1") && [ "$size" = $before ]; do
        before=$size
        sleep 1
    done
}

# as USER PROGRAM...: as somebody without rights (the machine has alice and bob)
as() {
    local user=$1
    shift
    setpriv --reuid="$user" --regid="$user" --init-groups --reset-env -- \
        env ${SYSTEMD_LOG_LEVEL:+SYSTEMD_LOG_LEVEL="$SYSTEMD_LOG_LEVEL"} "$@"
}

# ---- the service; everything prints JSON, for jq ------------------------------------------------

service=org.mcp.Runtime1
root=/org/mcp/Runtime1

# by USER FUNCTION...: a function of this section, called by that user
by() {
    local caller=$1
    shift
    "$@"
}

# The object path of a VM, escaped as sd-bus does.
vm_path() {
    local LC_ALL=C name=$1 path='' i c
    for ((i = 0; i < ${#name}; i++)); do
        c=${name:i:1}
        case $c in
        [a-zA-Z]) path+=$c ;;
        [0-9]) [ "$i" -gt 0 ] && path+=$c || printf -v path '%s_%02x' "$path" "'$c" ;;
        *) printf -v path '%s_%02x' "$path" "'$c" ;;
        esac
    done
    echo "$root/vm/$path"
}

# call PATH INTERFACE METHOD [SIGNATURE ARGUMENT...]
call() {
    local path=$1 interface=$2
    shift 2
    ${caller:+as "$caller"} busctl --system --json=short --timeout="${timeout:-120}" \
        --allow-interactive-authorization="${interactive:-yes}" -- call "$service" "$path" "$service.$interface" "$@"
}

# mcp METHOD [SIGNATURE ARGUMENT...]: a method of the manager
mcp() {
    call "$root" Manager "$@"
}

# vm NAME METHOD [SIGNATURE ARGUMENT...]
vm() {
    local path
    path=$(vm_path "$1")
    shift
    call "$path" VM "$@"
}

# get PATH INTERFACE PROPERTY: its value alone, strings without quotes
get() {
    ${caller:+as "$caller"} busctl --system --json=short get-property "$service" "$1" "$service.$2" "$3" | jq -r .data
}

# vm_get NAME PROPERTY
vm_get() {
    get "$(vm_path "$1")" VM "$2"
}

# vm_is NAME STATE
vm_is() {
    [ "$(vm_get "$1" State)" = "$2" ]
}

# job PATH: waits until that job ends; prints result, error name and message, true when it is done
job() {
    local answer
    answer=$(call "$1" Job Wait) || return
    jq -r '.data | join(" ")' <<<"$answer"
    [ "$(jq -r '.data[0]' <<<"$answer")" = "done" ]
}

# error COMMAND...: the D-Bus error name it ends with (busctl itself shows the message only)
error() {
    SYSTEMD_LOG_LEVEL=debug "$@" 2>&1 >/dev/null |
        sed -n 's/.*Got message type=error .*error-name=\([^ ]*\).*/\1/p' | tail -n 1
}

# refused TEXT ERROR COMMAND...: the call ends with that error; ours by their last word
refused() {
    local text=$1 wanted=$2 got
    shift 2
    [[ $wanted == *.* ]] || wanted=$service.Error.$wanted
    got=$(error "$@")
    equal "$text" "$wanted" "${got:-no error}"
}

# ---- what most tests do -------------------------------------------------------------------------

# The image that boot() takes: given_busybox makes it of Debian's static busybox, whose applets are
# its first argument: the guest's command `sh -c ...` is busybox's shell.
image=busybox:test

# import REFERENCE FILE: true when the image is there
import() {
    local file answer
    mkdir -p /srv/mcp-tests
    file=$(mktemp -p /srv/mcp-tests)
    at_end "rm -f $file; rmdir /srv/mcp-tests"
    cat "$2" >"$file"
    chmod 644 "$file"
    answer=$(mcp ImportImageFile 'ssa{sv}' "$1" "$file" 0) && job "$(jq -r '.data[1]' <<<"$answer")"
}

# What busctl cannot do: mcp_fd import REFERENCE FILE|-, mcp_fd log [OPTION...] VM
mcp_fd() {
    ${caller:+as "$caller"} /usr/libexec/mcp-runtime/mcp-fd "$@"
}

# Everything of root's is removed in the end, so that each test begins with an empty service.
given_busybox() {
    at_end tidy
    import "$image" /bin/busybox >"$_output" 2>&1 || { note "$(cat "$_output")" && exit 2; }
}

tidy() {
    local name path
    for name in $(mcp ListVMs 'a{sv}' 0 | jq -r '.data[0][][0]'); do
        remove "$name"
    done
    for path in $(mcp ListImages 'a{sv}' 0 | jq -r '.data[0][][3]'); do
        call "$path" Image Remove 'a{sv}' 0
    done
    systemctl reset-failed 'mcp-*@*'
}

# run NAME COUNT KEY TYPE VALUE...: RunVM with these keys (written as for busctl) beside the image;
# prints the job's path
run() {
    local name=$1 count=$2
    shift 2
    mcp RunVM 'sa{sv}' "$name" $((count + 1)) Image s "$image" "$@" | jq -r '.data[2]'
}

# boot NAME COUNT KEY TYPE VALUE...: the same; prints the job's end, true when the program runs
boot() {
    local path
    path=$(run "$@") && job "$path"
}

# vm_job NAME METHOD [SIGNATURE ARGUMENT...]: calls Start, Stop or Remove and waits for its end
vm_job() {
    local answer
    answer=$(vm "$@") && job "$(jq -r '.data[1]' <<<"$answer")"
}

# stop NAME [MICROSECONDS]
stop() {
    vm_job "$1" Stop 'ta{sv}' "${2:-10000000}" 0
}

# remove NAME: at once
remove() {
    vm "$1" Stop 'ta{sv}' 0 0 >/dev/null 2>&1
    vm_job "$1" Remove 'a{sv}' 0
}

# lines NAME: the console log as it is now; on a slow machine a guest may print faster than this reads
lines() {
    local cursor=0 last=0 now=${EPOCHREALTIME/./} answer
    while [ "$last" -lt "$now" ] && answer=$(vm "$1" ReadLog tu "$cursor" 1000) &&
        jq -e '.data[0] | length > 0' <<<"$answer" >/dev/null; do
        jq -r '.data[0][][2]' <<<"$answer"
        read -r cursor last < <(jq -r '"\(.data[1]) \(.data[0][-1][0])"' <<<"$answer")
    done
}

# said NAME REGEX: whether a line of the console log is like that
said() {
    lines "$1" | grep -E -- "$2"
}

# Instances of our templates, and what systemd thinks of them.
units() {
    systemctl list-units --plain --no-legend --all 'mcp-*@*' | awk '{ print $1, $3 }'
}

# none_active: none runs or is on its way; failed ones may be listed
none_active() {
    ! units | grep -qvE ' (failed|inactive)$'
}

# unit_pids UNIT: its processes
unit_pids() {
    cat "/sys/fs/cgroup$(systemctl show --value --property=ControlGroup "$1")/cgroup.procs"
}

# Nothing of a VM is on the host: no unit (failed ones too), no process, no directory.
no_vm_left() {
    [ -z "$(units)" ] && ! pgrep -f 'qemu-system|mcp-vm-monitor|mcp-image-worker' && ! pgrep passt &&
        [ -z "$(ls /var/lib/mcp-runtime/vms)" ]
}
