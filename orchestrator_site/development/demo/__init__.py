"""A month of believable work for an empty console: `make demo`.

texts        what tasks are about
receipts     what the gate finds in them, and in submissions that it refuses
lives        what happens to each task until now
submissions  when they come, and all of the above together
storing      the database
"""
