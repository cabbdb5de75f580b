-- The requests that wrk sends, and one line of JSON about the answers.
--
-- Arguments: "submit", "read" or "mixed" (both alternately); a file with the body of a submission,
-- in which NUMBER is replaced by a new number each time; a file with one task id per line;
-- an API key or a token, or nothing.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(arguments)
   kind = arguments[1]
   local file = assert(io.open(arguments[2]))
   head, tail = file:read("*a"):match("^(.*)NUMBER(.*)$")
   file:close()
   paths = {}
   for id in io.lines(arguments[3]) do
      table.insert(paths, "/tasks/" .. id)
   end
   math.randomseed(os.time())
   wrk.headers["Content-Type"] = "application/json"
   if arguments[4] and arguments[4] ~= "" then
      wrk.headers["Authorization"] = "Bearer " .. arguments[4]
   end
   -- Global, so that done() can read them from the thread.
   sent, good, refused, wrong = 0, 0, 0, 0
end

function request()
   sent = sent + 1
   if kind == "submit" or (kind == "mixed" and sent % 2 == 0) then
      return wrk.format("POST", "/submit", nil, head .. sent .. tail)
   end
   return wrk.format("GET", paths[math.random(#paths)])
end

function response(status)
   if status >= 200 and status < 300 then
      good = good + 1
   elseif status == 503 then
      refused = refused + 1
   else
      wrong = wrong + 1
   end
end

function done(summary, latency)
   local thread = threads[1]
   local errors = summary.errors
   io.write(string.format(
      '{"seconds": %f, "sent": %d, "good": %d, "refused": %d, "wrong": %d, "socket_errors": %d, '
         .. '"p50": %f, "p90": %f, "p95": %f, "p99": %f, "max": %f}\n',
      summary.duration / 1e6, thread:get("sent"),
      thread:get("good"), thread:get("refused"), thread:get("wrong"),
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(95) / 1e3,
      latency:percentile(99) / 1e3, latency.max / 1e3
   ))
end
