/* What libical takes from iCalendar text to merged busy time: libical FILE START END ZONE ROUNDS.
 * FILE holds the resources, each ended by a NUL. Writes the CPU milliseconds of each round, a line each, then "--",
 * then the busy intervals before they are merged. Instances that an override stands in for are left out by us, and all-day ones are placed in
 * the owner's zone, which libical leaves to its callers. */
#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct { time_t start, end; } Span;
typedef struct { Span *items; size_t count, room; } Spans;
typedef struct { Spans *found; const icaltimezone *owner; int days; const time_t *replaced; size_t replaced_count; } Series;

static void add(Spans *spans, Span span) {
    if (spans->count == spans->room) {
        spans->room = spans->room ? 2 * spans->room : 1024;
        spans->items = realloc(spans->items, spans->room * sizeof(Span));
    }
    spans->items[spans->count++] = span;
}

static time_t midnight(time_t at, const icaltimezone *zone) {
    struct icaltimetype day = icaltime_from_timet_with_zone(at, 1, icaltimezone_get_utc_timezone());
    day.is_date = 0;
    return icaltime_as_timet_with_zone(day, zone);
}

static void occurrence(icalcomponent *event, struct icaltime_span *span, void *data) {
    Series *series = data;
    Span found = {span->start, span->end};
    (void)event;
    for (size_t i = 0; i < series->replaced_count; i++)
        if (series->replaced[i] == found.start) return;
    if (series->days) { /* Given in UTC, and to the end of the day that DTEND no longer takes in. */
        found.start = midnight(span->start, series->owner);
        found.end = midnight(span->start + 86400 * series->days, series->owner);
    }
    add(series->found, found);
}

static int blocks(icalcomponent *event) {
    icalproperty *transparency = icalcomponent_get_first_property(event, ICAL_TRANSP_PROPERTY);
    return icalcomponent_get_status(event) != ICAL_STATUS_CANCELLED &&
           !(transparency && icalproperty_get_transp(transparency) == ICAL_TRANSP_TRANSPARENT);
}

static void read_resource(const char *text, struct icaltimetype start, struct icaltimetype end,
                          const icaltimezone *owner, Spans *found) {
    icalcomponent *calendar = icalparser_parse_string(text), *event;
    time_t replaced[64];
    size_t count = 0;
    for (event = icalcomponent_get_first_component(calendar, ICAL_VEVENT_COMPONENT); event;
         event = icalcomponent_get_next_component(calendar, ICAL_VEVENT_COMPONENT)) {
        icalproperty *original = icalcomponent_get_first_property(event, ICAL_RECURRENCEID_PROPERTY);
        if (original && count < 64) {
            struct icaltimetype at = icalproperty_get_datetime_with_component(original, calendar);
            replaced[count++] = icaltime_as_timet_with_zone(at, at.zone);
        }
    }
    for (event = icalcomponent_get_first_component(calendar, ICAL_VEVENT_COMPONENT); event;
         event = icalcomponent_get_next_component(calendar, ICAL_VEVENT_COMPONENT)) {
        int is_override = icalcomponent_get_first_property(event, ICAL_RECURRENCEID_PROPERTY) != NULL;
        struct icaltimetype first = icalcomponent_get_dtstart(event), last = icalcomponent_get_dtend(event);
        int days = first.is_date ? icaltime_day_of_year(last) - icaltime_day_of_year(first) : 0;
        if (days < 0) days += icaltime_days_in_year(first.year);
        Series series = {found, owner, days, replaced, is_override ? 0 : count};
        if (blocks(event)) icalcomponent_foreach_recurrence(event, start, end, occurrence, &series);
    }
    icalcomponent_free(calendar);
}

static int by_start(const void *one, const void *other) {
    time_t a = ((const Span *)one)->start, b = ((const Span *)other)->start;
    return (a > b) - (a < b);
}

static void merge(Spans *spans, Spans *merged) {
    merged->count = 0;
    qsort(spans->items, spans->count, sizeof(Span), by_start);
    for (size_t i = 0; i < spans->count; i++) {
        Span next = spans->items[i], *open = merged->count ? &merged->items[merged->count - 1] : NULL;
        if (!open || next.start > open->end) add(merged, next);
        else if (next.end > open->end) open->end = next.end;
    }
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    FILE *file = fopen(argv[1], "rb");
    if (!file) return 2;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *texts = malloc(size + 1);
    if (fread(texts, 1, size, file) != (size_t)size) return 2;
    time_t from = atol(argv[2]), to = atol(argv[3]);
    const icaltimezone *owner = icaltimezone_get_builtin_timezone(argv[4]), *utc = icaltimezone_get_utc_timezone();
    /* A day wider, and cut below: libical sees all-day events in UTC. */
    struct icaltimetype start = icaltime_from_timet_with_zone(from - 86400, 0, utc);
    struct icaltimetype end = icaltime_from_timet_with_zone(to + 86400, 0, utc);
    Spans found = {0}, merged = {0};
    for (int round = atoi(argv[5]); round > 0; round--) {
        clock_t began = clock();
        found.count = 0;
        for (char *text = texts; text < texts + size; text += strlen(text) + 1)
            read_resource(text, start, end, owner, &found);
        size_t kept = 0;
        for (size_t i = 0; i < found.count; i++)
            if (found.items[i].start < to && found.items[i].end > from && found.items[i].end > found.items[i].start)
                found.items[kept++] = found.items[i];
        found.count = kept;
        merge(&found, &merged);
        printf("%.3f\n", (clock() - began) * 1000.0 / CLOCKS_PER_SEC);
    }
    puts("--");
    for (size_t i = 0; i < found.count; i++) printf("%ld %ld\n", (long)found.items[i].start, (long)found.items[i].end);
    return 0;
}
