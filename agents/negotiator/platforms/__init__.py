"""Platforms: what they charge, what a campaign on them is worth to everybody, and who speaks for them.

The model of a campaign. We (`HOUSE`) have a budget in US dollars to have our content syndicated by platforms. Three
issues, over which utilities add up:

1. `terms`: the pricing model, the discount on card rates and how the budget is split, one joint issue, since they
   multiply: `CPA −10 %, tiktok 60 % · spotify 40 %`. Under `own rates` each platform is paid by its card's main model.
2. `format`: in which the content is made first. A platform that doesn't list it has it adapted at its own cost.
3. `head_start`: whether one platform has the content some days before the others.

Money. Of its part of the budget a platform is promised a volume, in whole impressions, clicks, conversions or
packages, and at most what that volume costs, rounded up and never more than its part:

| model         | volume                 | it is paid                                          | who bears the risk |
|---------------|------------------------|-----------------------------------------------------|--------------------|
| CPM           | impressions            | all of it                                           | we                 |
| flat fee      | packages               | all of it                                           | we                 |
| revenue share | impressions            | a share of what conversions are worth, up to a most | both               |
| CPC           | clicks                 | by click; needs n / CTR impressions                 | both               |
| CPA           | conversions            | by conversion; needs n / (CTR · CVR) impressions    | the platform       |

All are bounded by the platform's inventory; what can't be delivered isn't paid. A platform could have sold its
impressions elsewhere at its floor, so its profit is payment − impressions × floor eCPM / 1000. Our gain is value per
conversion × conversions − payments. Without a deal all have 0: platforms sell elsewhere at the floor, we don't
advertise. A pricing model that a card doesn't take costs that platform ten budgets, so that no deal has it.

Click and conversion rates are uncertain: CTR ~ Beta(½ + clicks, ½ + impressions − clicks) and
CVR ~ Beta(½ + conversions, ½ + clicks − conversions). Positions state utilities under equally likely scenarios of them.

What a format or a head start is worth stands on the cards in US dollars for 1,000 US dollars of budget, as far as
the platform (for us: all platforms) can deliver for it.
"""
