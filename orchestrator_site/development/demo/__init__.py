"""A month of believable work for an empty console: `make demo`.

texts        what tasks are about, plan_texts those with plans and decisions
receipts     what the gate finds in them, and in submissions that it refuses
lives        what happens to each task until now; runs its runs
planned      what happens to those with plans and decisions; scripts their runs
submissions  when they come, and all of the above together
storing      the database
"""
