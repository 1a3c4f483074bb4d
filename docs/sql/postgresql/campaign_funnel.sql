-- How did each email campaign do?
--
-- One row per sent campaign. Columns count unique people: repeated opens or clicks, and several
-- messages (variations) of the same campaign, count once per person. Open, click and unsubscribe
-- rates are percentages of `delivered`; the bounce rate is a percentage of `sent`.
--
-- Limitations: Apple Mail opens messages automatically, which inflates opens. Flow messages have
-- their own ids, belong to no campaign and are not counted. Events before `start_date` are missing.

with campaign_messages as (
    select
        campaigns.id as campaign_id,
        message ->> 'id' as message_id
    from campaigns, jsonb_array_elements(to_jsonb("campaign-messages")) as messages (message)
),

happenings as (
    select 'received' as what, id, profile_id, event_properties from receive
    union all
    select 'opened', id, profile_id, event_properties from open
    union all
    select 'clicked', id, profile_id, event_properties from click
    union all
    select 'bounced', id, profile_id, event_properties from bounce
    union all
    select 'unsubscribed', id, profile_id, event_properties from unsubscribe
),

-- One row per person and campaign. An event without a profile counts as a separate person.
people as (
    select
        campaign_id,
        coalesce(profile_id, happenings.id) as person,
        bool_or(what = 'received') as received,
        bool_or(what = 'opened') as opened,
        bool_or(what = 'clicked') as clicked,
        bool_or(what = 'bounced') as bounced,
        bool_or(what = 'unsubscribed') as unsubscribed
    from happenings
    join campaign_messages on message_id = event_properties ->> '$message'
    group by campaign_id, person
),

funnels as (
    select
        campaign_id,
        count(*) filter (where received or bounced) as sent,
        count(*) filter (where received and not bounced) as delivered,
        count(*) filter (where opened) as opened,
        count(*) filter (where clicked) as clicked,
        count(*) filter (where unsubscribed) as unsubscribed,
        count(*) filter (where bounced) as bounced
    from people
    group by campaign_id
)

select distinct
    campaigns.name as campaign,
    send_time::date as sent_on,
    sent,
    delivered,
    opened,
    clicked,
    unsubscribed,
    bounced,
    round(100.0 * opened / nullif(delivered, 0), 1) as open_rate,
    round(100.0 * clicked / nullif(delivered, 0), 1) as click_rate,
    round(100.0 * unsubscribed / nullif(delivered, 0), 1) as unsubscribe_rate,
    round(100.0 * bounced / nullif(sent, 0), 1) as bounce_rate,
    campaign_id
from funnels
join campaigns on campaigns.id = campaign_id
order by sent_on desc, campaign_id;
