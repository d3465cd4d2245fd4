#!/bin/sh
# From nothing to a running flow and its report, with curl alone.
#
#   headrace serve DATA_DIR                # in another terminal; its first start prints an admin key
#   HEADRACE_KEY=hr_live_... sh examples/quickstart.sh
#
# HEADRACE_URL says where the service is, if not on this machine.
set -eu

URL=${HEADRACE_URL:-http://127.0.0.1:8000}
KEY=${HEADRACE_KEY:?set it to the admin key that the first start printed}
TOUR=$(dirname "$0")/tour
TENANT=quickstart-$(date +%s)-$$

say() { printf '\n== %s\n' "$1"; }

# ask METHOD PATH [BODY]: ask with $KEY; what is refused ends the script, with what to do.
ask() {
    if [ $# -gt 2 ]; then
        curl -sS --fail-with-body -X "$1" "$URL$2" -H "Authorization: Bearer $KEY" \
            -H 'Content-Type: application/json' -d "$3"
    else
        curl -sS --fail-with-body -X "$1" "$URL$2" -H "Authorization: Bearer $KEY"
    fi
}

# first NAME: the first text of that name in the JSON that is read.
first() { tr ',{' '\n\n' | sed -n "s/ *\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# finish RUN: wait until a job has ended, and fail unless it did what was asked.
finish() {
    while :; do
        told=$(ask GET "/v1/runs/$1")
        case $(printf %s "$told" | first status) in
            queued | running) sleep 0.2 ;;
            done) return 0 ;;
            *) printf '%s\n' "$told" >&2; return 1 ;;
        esac
    done
}

say "Make a tenant: $TENANT"
KEY=$(ask POST /v1/tenants "{\"id\": \"$TENANT\", \"name\": \"Quickstart\", \"zone\": \"Europe/Berlin\"}" | first secret)

say "Import an audience: past customers and what they did"
for file in customers.csv events.csv; do
    curl -sS --fail-with-body -T "$TOUR/$file" "$URL/v1/audiences/shop/files/$file" \
        -H "Authorization: Bearer $KEY" -H 'Content-Type: text/csv' > /dev/null
done
finish "$(ask POST /v1/audiences/shop/import '{"mapping": {
    "as_of": "2026-04-01T00:00:00Z", "zone": "Europe/Berlin",
    "customers": [{"file": "customers.csv", "id": "id",
        "created_at": {"column": "joined", "format": "%d.%m.%Y", "zone": "Europe/Berlin"},
        "attributes": {"newsletter": "newsletter"}}],
    "events": [{"file": "events.csv", "customer": "customer", "event": "what",
        "time": {"column": "when", "format": "%Y-%m-%d %H:%M", "zone": "Europe/Berlin"},
        "properties": {"amount": {"column": "amount", "type": "float64"}}}]}}' | first id)"
ask GET /v1/audiences/shop
echo

say "Say which events come, write a message, and draft a flow that sends it"
ask PUT /v1/schema '{
    "attributes": {"newsletter": {"type": "string"}, "email": {"type": "string", "personal": true}},
    "events": {"basket": {}, "order": {"properties": {"amount": "float64"}}}}' > /dev/null
ask PUT /v1/content/basket '{"state": "ready", "channels": {"email": {"address": "email", "parts": {
    "subject": {"text": "Your basket"}, "text": {"text": "It is still there."}}}}}' > /dev/null
ask POST /v1/flows '{"document": {"headrace": 1, "flow": "left-basket", "name": "Left basket",
    "settings": {"reentry": {"policy": "always"}},
    "nodes": {
        "filled": {"type": "on_event", "event": "basket", "next": "may-mail"},
        "may-mail": {"type": "condition", "if": {"attribute": "newsletter", "is": "yes"},
            "next": {"yes": "mail", "no": "done"}},
        "mail": {"type": "send", "channel": "email", "template": "basket", "next": "done"},
        "done": {"type": "end"}}}}' > /dev/null
ask GET /v1/flows/left-basket/draft/lint
echo

say "Dry-run the draft on the audience"
RUN=$(ask POST /v1/runs '{"audience": "shop", "draft": {"flow": "left-basket"}}' | first id)
finish "$RUN"
ask GET "/v1/runs/$RUN/report" | cut -c 1-400

say "Publish it"
ask POST /v1/flows/left-basket/publish '{}'
echo

say "Send events, with a key that can do nothing else"
ADMIN=$KEY
KEY=$(ask POST /v1/keys '{"name": "shop", "scopes": ["events:write"]}' | first secret)
ask POST /v1/events '[
    {"customer": "ada", "set": {"newsletter": "yes", "email": "ada@shop.example"}},
    {"customer": "bob", "set": {"newsletter": "no"}},
    {"customer": "ada", "event": "basket", "message_id": "e1"},
    {"customer": "bob", "event": "basket", "message_id": "e2"},
    {"customer": "ada", "event": "order", "message_id": "e3", "properties": {"amount": 16.28}}]'
echo
KEY=$ADMIN

say "Read its report"
sleep 1
ask GET /v1/flows/left-basket/report
echo
