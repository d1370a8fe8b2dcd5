#!/usr/bin/env bash
# Judges the backend that $CMD starts or $URL serves, and ends as the verdict, or the policy, says. Called by action.yml.
set -uo pipefail

kora_backend=${KORA_BACKEND:-$HOME/.cache/kora-backend/bin/kora-backend}
options=(--profile "${PROFILE:-core}" --seed "${SEED:-1}" --report "$REPORT")
if [[ -n ${CMD:-} && -z ${URL:-} ]]; then
    options+=(--cmd "$CMD")
elif [[ -z ${CMD:-} && -n ${URL:-} ]]; then
    options+=(--url "$URL" --model-listen "${MODEL_LISTEN:-127.0.0.1:7011}")
else
    echo "::error::give either \`command\` or \`url\`"
    exit 2
fi
if [[ -n ${KNOWN:-} ]]; then options+=(--known "$KNOWN"); fi

"$kora_backend" conformance run "${options[@]}"
ended=$?

if [[ -f $REPORT/report.json ]]; then
    verdict=$(sed -n 's/^  "conformance": "\([a-z_]*\)",\{0,1\}$/\1/p' "$REPORT/report.json" | head -n 1)
    { echo "report=$REPORT"; echo "verdict=$verdict"; } >> "${GITHUB_OUTPUT:-/dev/null}"
fi
if [[ -f $REPORT/summary.md ]]; then cat "$REPORT/summary.md" >> "${GITHUB_STEP_SUMMARY:-/dev/null}"; fi

# 0 conformant, 30 not, 31 incomplete; with anything else there is no verdict that a policy could be held to.
if [[ -n ${POLICY:-} && ($ended -eq 0 || $ended -eq 30 || $ended -eq 31) ]]; then
    exec "$kora_backend" conformance gate --policy "$POLICY" --summary "${GITHUB_STEP_SUMMARY:-/dev/null}" "$REPORT/report.json"
fi
exit "$ended"
