# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2016,SC2034 # what the guest expands; for those who source this
# For the tests of networks, beside lib.sh: guests that do what they are told over HTTP, and what the
# host has of the networks.

# The guest's program: a page, and a CGI script that runs what is posted to it. Its argument is the page.
guest_server='b=$(readlink /proc/self/exe); mkdir -p /w/cgi-bin
printf "#!%s sh\necho Content-type: text/plain; echo; exec 2>&1; eval \"\$(cat)\"\n" "$b" >/w/cgi-bin/sh
chmod 755 /w/cgi-bin/sh; echo "the page of $0" >/w/index.html; exec httpd -f -p ${1:-80} -h /w'

# begin NAME COUNT KEY TYPE VALUE...: RunVM of such a guest; prints the job's path
begin() {
    local name=$1 count=$2
    shift 2
    run "$name" $((count + 1)) Command as 4 sh -c "$guest_server" "$name" "$@"
}

# page ADDRESS[:PORT]: the page that is served there
page() {
    curl -sfm 5 "http://$1/"
}

# in_guest ADDRESS[:PORT] COMMAND: run by its shell; prints what it printed
in_guest() {
    curl -sfm 30 --data-binary "$2" "http://$1/cgi-bin/sh"
}

# from_guest ADDRESS[:PORT] IP PORT: what HTTP gives the guest there; nothing where it does not get through. The request's end is
# held back: half a connection is not what is tried here.
from_guest() {
    in_guest "$1" "{ printf 'GET / HTTP/1.0\r\n\r\n'; sleep 2; } | nc -w 3 $2 $3 2>/dev/null | tail -n 1" | tr -d '\r'
}

# serve DIRECTORY ADDRESS PORT [COMMAND...]: a page on the host, `DIRECTORY is read`; with the command
# before it (ip netns exec world) somewhere else
serve() {
    local page=$1 address=$2 port=$3
    shift 3
    mkdir -p "$page"
    echo "$page is read" >"$page/index.html"
    "$@" busybox httpd -f -p "$address:$port" -h "$PWD/$page" &
    at_end "kill $!"
}

# What the guard has dropped, in frames: dropped bridge|inet COUNTER
dropped() {
    nft -j list counter "$1" mcp_runtime "$2" | jq '.nftables[] | .counter // empty | .packets'
}

# more THAN COMMAND...: its number is greater
more() {
    local than=$1
    shift
    [ "$("$@")" -gt "$than" ]
}

# Our TAPs, and the VMs that the guard knows.
taps() {
    ip -o link | grep -oE ': mcp[0-9]{4,}' | tr -d ': '
}
identities() {
    nft list set bridge mcp_runtime identities 2>/dev/null | grep -o '"mcp[0-9]*"' | tr -d '"'
}
no_port_left() {
    [ -z "$(taps)" ] && [ -z "$(identities)" ]
}
# tap_of NAME: the interface of that VM
tap_of() {
    grep -lx "mcp:$(vm_get "$1" UUID)" /sys/class/net/*/ifalias | cut -d/ -f5
}

# All of the host that a network could change; counters, and what moves by itself, are left out.
host_state() {
    ip -o link | sed -E 's/^[0-9]+: //; s/ state .*//'
    ip -o -4 addr show | awk '{ print $2, $4 }'
    nft list ruleset | grep -v packets
    ls /var/lib/mcp-runtime/networks 2>/dev/null
}

# net NAME METHOD...; net_get NAME PROPERTY
net() {
    local path
    path=$(mcp GetNetwork s "$1" | jq -r '.data[0]') || return
    shift
    call "$path" Network "$@"
}
net_get() {
    get "$(mcp GetNetwork s "$1" | jq -r '.data[0]')" Network "$2"
}

# create NAME COUNT KEY TYPE VALUE...
create() {
    local name=$1
    shift
    mcp CreateNetwork 'sa{sv}' "$name" "$@"
}

remove_networks() {
    local name
    for name in $(mcp ListNetworks 'a{sv}' 0 | jq -r '.data[0][][0]'); do
        [ "$name" = default ] || net "$name" Remove 'a{sv}' 0
    done
}

# died UNIT PID: another process does its work, or none
died() {
    [ "$(systemctl show --value --property=MainPID "$1")" != "$2" ]
}

# kill_unit UNIT: kill -9 of its main process
kill_unit() {
    local pid
    pid=$(systemctl show --value --property=MainPID "$1")
    [ "$pid" != 0 ] || return 0
    kill -9 "$pid"
    eventually 10 died "$1" "$pid"
}

answers() {
    mcp ListVMs 'a{sv}' 0
}
