# Calendars, chosen weekdays, and number formats that no locale changes.
import calendar
from datetime import date

print(calendar.isleap(2000), calendar.isleap(1900), calendar.leapdays(2000, 2025), calendar.monthrange(2024, 2))
print(calendar.TextCalendar(calendar.MONDAY).formatmonth(2024, 2))
print(calendar.Calendar(6).monthdayscalendar(2024, 9)[0], list(calendar.day_abbr), calendar.month_name[3])
print([d.isoformat() for week in calendar.Calendar().monthdatescalendar(2024, 5) for d in week if d.weekday() == 4 and d.day == 13 or d.day == 31])
print(sum(1 for y in range(2000, 2030) for m in range(1, 13) if date(y, m, 13).weekday() == 4), calendar.timegm((1970, 1, 2, 0, 0, 0)))
print(f"{1234567.5:n}", f"{1234567:,}")
