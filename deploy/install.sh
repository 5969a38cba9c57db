#!/bin/sh
# Install the controller below a folder, as the image has it below `/`:
#
#   flagger                 the command that Flagger's chart starts (`./flagger`)
#   loadtester              the command that the chart of its load tester starts (`./loadtester`)
#   opt/flagger-py          a virtual environment; `opt/flagger-py/bin/pip install ...` adds plug-ins
#   usr/local/bin/wget      enough of wget for the probe of Flagger's chart
#
# Usage: install.sh WHEEL FOLDER
# PYTHON is the interpreter to use, REQUIREMENTS another file of pinned dependencies. pip's own settings (PIP_NO_INDEX, ...) count.
set -eu

wheel=$1
root=${2%/}
here=$(cd "$(dirname "$0")" && pwd)
environment=$root/opt/flagger-py

"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r "${REQUIREMENTS:-$here/requirements.txt}"
"$environment/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --no-deps "$wheel"
# Relative, so that the folder can be looked at from outside.
ln -sf opt/flagger-py/bin/flagger "$root/flagger"
printf '#!/bin/sh\nexec "$(dirname "$0")/opt/flagger-py/bin/flagger-py" loadtester "$@"\n' > "$root/loadtester"
chmod 755 "$root/loadtester"

mkdir -p "$root/usr/local/bin"
{
    echo "#!$environment/bin/python -IS"
    cat "$here/wget.py"
} > "$root/usr/local/bin/wget"
chmod 755 "$root/usr/local/bin/wget"
