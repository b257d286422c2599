-- Takes what was ordered out of the cart, once for each event. What was added since then stays.
-- KEYS: the cart, the inbox entry of the event
-- ARGV: seconds the entry lives, then variant and units of each line
if not redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[1]) then return 0 end
for i = 2, #ARGV, 2 do
  local held = redis.call('HGET', KEYS[1], ARGV[i])
  if held then
    if tonumber(held) > tonumber(ARGV[i + 1]) then
      redis.call('HINCRBY', KEYS[1], ARGV[i], -tonumber(ARGV[i + 1]))
    else
      redis.call('HDEL', KEYS[1], ARGV[i])
    end
  end
end
return 1
