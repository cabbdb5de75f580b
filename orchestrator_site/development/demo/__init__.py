"""A month of believable work for an empty console: `make demo`.

texts, words  what tasks are about
arrivals      when they come: by day and by night, on weekdays and weekends
screenings    what the gate makes of them, and of those that it refuses
lives         what happens to each of them until now
submissions   all of that together, and the one story in it
rows          the same as rows of the tables
storing       into the database with them
progress      how far that has come
"""
