#!/bin/bash -p
# Runs one of the project's scripts as cron should:  run_script_wrapper.sh order_manager.py [options]
# It needs nothing of its caller: no PATH, no folder, no activated environment. What the script prints goes
# to logs/order_manager.log. Its exit code is the script's; 2 if the script could not be started.

# -p above: bash takes no functions, options or start-up file from the environment.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 077
# What would put other code into Python, or into any program.
unset -v "${!PYTHON@}" "${!LD_@}"

refuse() {
    printf 'run_script_wrapper.sh: %s\n' "$1" >&2
    exit 2
}

root=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")") || refuse "its own folder cannot be found"
if [ "$(id -u)" = 0 ]; then
    owner=$(stat -c %U -- "$root")
    case $owner in
        root | UNKNOWN) ;;
        *) refuse "$root belongs to $owner, whose bot could not use what root makes in it: run this as $owner" ;;
    esac
fi
[ $# -ge 1 ] || refuse "usage: run_script_wrapper.sh SCRIPT.py [options]"
name=$1
shift

case $name in
    /*) script=$(readlink -f -- "$name") ;;
    *) script=$(readlink -f -- "$root/$name") ;;
esac
[ -n "$script" ] && [ -f "$script" ] || refuse "there is no script $name in $root"
[ "${script%/*}" = "$root" ] || refuse "$name is not a script of $root"
[ "${script%.py}" != "$script" ] || refuse "$name does not end in .py"
python=$root/venv/bin/python
[ -x "$python" ] || refuse "there is no $python: run $root/bot install"

# Without a log the script runs all the same, and cron mails what it says.
log=$root/logs/$(basename -- "$script" .py).log
mkdir -p -- "$root/logs" && exec 3>>"$log" && exec >&3 2>&1 3>&-
exec "$python" "$script" "$@"
