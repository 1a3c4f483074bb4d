-- How many events does the warehouse hold? For `tap-klaviyo --verify --target-counts`.
--
-- One row per event stream and day (UTC). Write the result to a file with a header:
--
--   psql --quiet --csv --file=event_counts.sql > counts.csv
--
-- Limitations: the lines below are the event streams that are selected by default. Remove those
-- that you do not load, and add the others, such as those of `metric_streams`. A stream that is
-- selected and has no rows here counts as empty.

with events as (
    select 'receive' as stream, id, datetime from receive
    union all
    select 'click', id, datetime from click
    union all
    select 'open', id, datetime from open
    union all
    select 'bounce', id, datetime from bounce
    union all
    select 'dropped_email', id, datetime from dropped_email
    union all
    select 'mark_as_spam', id, datetime from mark_as_spam
    union all
    select 'unsubscribe', id, datetime from unsubscribe
    union all
    select 'subscribe_list', id, datetime from subscribe_list
    union all
    select 'unsub_list', id, datetime from unsub_list
    union all
    select 'update_email_preferences', id, datetime from update_email_preferences
    union all
    select 'clicked_sms', id, datetime from clicked_sms
    union all
    select 'consented_to_receive', id, datetime from consented_to_receive
    union all
    select 'failed_to_deliver', id, datetime from failed_to_deliver
    union all
    select 'failed_to_deliver_automated_response', id, datetime from failed_to_deliver_automated_response
    union all
    select 'received_automated_response', id, datetime from received_automated_response
    union all
    select 'received_sms', id, datetime from received_sms
    union all
    select 'sent_sms', id, datetime from sent_sms
    union all
    select 'unsubscribed_from_sms', id, datetime from unsubscribed_from_sms
)

select
    stream,
    datetime::date as day,
    count(distinct id) as count
from events
group by stream, day
order by stream, day;
