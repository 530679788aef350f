# Dates and times: arithmetic, parsing, formatting and fixed time zones, all from fixed values.
from datetime import date, datetime, time, timedelta, timezone

start = datetime(2024, 2, 28, 23, 59, 58, 999_999)
print(start + timedelta(seconds=1, microseconds=1), start + timedelta(days=2), date(2024, 3, 1) - date(2023, 3, 1))
print(start.isoformat(), start.isoformat(" ", "minutes"), start.strftime("%d.%m.%Y %H:%M:%S.%f %j %a %b"))
print(datetime.fromisoformat("2024-05-06T07:08:09+02:00"), datetime.strptime("06/05/24 17:08", "%d/%m/%y %H:%M"))
east, west = timezone(timedelta(hours=5, minutes=30), "IST"), timezone(-timedelta(hours=8))
noon = datetime(2024, 1, 1, 12, tzinfo=east)
print(noon, noon.astimezone(west), noon.astimezone(timezone.utc), noon.tzname(), noon == noon.astimezone(west))
print(noon.timestamp(), datetime.fromtimestamp(86_400.5, timezone.utc), datetime(1969, 12, 31, tzinfo=timezone.utc).timestamp())
span = timedelta(days=-1, hours=5)
print(span, span.total_seconds(), abs(span), timedelta(hours=25) // timedelta(hours=2), divmod(timedelta(days=1), timedelta(hours=7)))
print(date(2024, 12, 30).isocalendar(), date(2024, 2, 29).weekday(), date.fromisocalendar(2025, 1, 1), date(1, 1, 1).toordinal())
print(time(23, 5).isoformat(), time.fromisoformat("04:05:06"), start.replace(month=1).date(), date.max)
print(repr(start), repr(span), sorted([date(2024, 5, 1), date(2023, 5, 1)])[0])
for bad in (lambda: date(2023, 2, 29), lambda: datetime.fromisoformat("nope"), lambda: noon < start):
    try:
        bad()
    except (ValueError, TypeError) as error:
        print(type(error).__name__)
