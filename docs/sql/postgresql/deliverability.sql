-- Which mailbox providers reject our emails?
--
-- One row per email domain. Columns count emails of campaigns and flows; an email is one message to
-- one person. Rates are percentages of `sent`, except the complaint rate, which is a percentage of
-- `delivered`.
--
-- Limitations: a flow message sent to the same person twice counts once. Dropped emails were never
-- sent and are not part of `sent`. Only complaints reported by providers are known; Gmail reports
-- none.

with happenings as (
    select 'received' as what, id, profile_id, profile, event_properties from receive
    union all
    select 'bounced', id, profile_id, profile, event_properties from bounce
    union all
    select 'dropped', id, profile_id, profile, event_properties from dropped_email
    union all
    select 'complained', id, profile_id, profile, event_properties from mark_as_spam
),

-- Domain from the event, or else from the person's current email address.
addressed as (
    select
        what,
        lower(coalesce(
            event_properties ->> 'Email Domain',
            substring(to_jsonb(profile) -> 0 ->> 'email' from '[^@]*$'),
            '(unknown)'
        )) as domain,
        coalesce(profile_id, id) as person,
        coalesce(event_properties ->> '$message', id) as message
    from happenings
),

emails as (
    select
        domain,
        person,
        message,
        bool_or(what = 'received') as received,
        bool_or(what = 'bounced') as bounced,
        bool_or(what = 'dropped') as dropped,
        bool_or(what = 'complained') as complained
    from addressed
    group by domain, person, message
),

domains as (
    select
        domain,
        count(*) filter (where received or bounced) as sent,
        count(*) filter (where received and not bounced) as delivered,
        count(*) filter (where bounced) as bounced,
        count(*) filter (where dropped) as dropped,
        count(*) filter (where complained) as complaints
    from emails
    group by domain
)

select
    domain,
    sent,
    delivered,
    bounced,
    dropped,
    complaints,
    round(100.0 * delivered / nullif(sent, 0), 2) as delivery_rate,
    round(100.0 * bounced / nullif(sent, 0), 2) as bounce_rate,
    round(100.0 * complaints / nullif(delivered, 0), 2) as complaint_rate
from domains
order by sent desc, domain;
