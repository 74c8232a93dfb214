-- key: position
select e.position, w.delay as earlier, {'a': 1, 'b': [1, 2]} AS nested
from events e asof left join (select position, origin, delay from events where type = 'w') w
  on e.origin = w.origin and e.position >= w.position
