-- Is each list growing?
--
-- One row per list and week (Monday to Sunday, UTC) in which someone joined or left.
--
-- Limitations: a list is identified by its name at the time of the event. Klaviyo records events
-- only for people who subscribe or unsubscribe. People who were imported, deleted or suppressed are
-- not counted, so the sum of `net` can differ from the size of the list. Current members are in
-- `list_members`.

with changes as (
    select id, datetime, event_properties, 1 as change from subscribe_list
    union all
    select id, datetime, event_properties, -1 from unsub_list
),

weeks as (
    select distinct
        id,
        coalesce(event_properties ->> 'List', '(unknown)') as list,
        date_trunc('week', datetime)::date as week,
        change
    from changes
)

select
    list,
    week,
    count(*) filter (where change = 1) as joined,
    count(*) filter (where change = -1) as "left",
    sum(change) as net
from weeks
group by list, week
order by list, week;
