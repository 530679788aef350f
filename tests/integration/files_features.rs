//! File formats and libraries: supported ones, and errors of missing ones.

use crate::support::{result, sandbox};

/// Runs `code` and compares its stdout with `expected`.
#[track_caller]
fn prints(code: &str, expected: &str) {
    let execution = crate::support::block_on(sandbox().run(code)).unwrap();
    result(&execution);
    assert_eq!(execution.stdout.text, expected, "{code}");
}

#[test]
fn plots_are_saved_to_files() {
    prints(
        "import matplotlib.pyplot as plt, os
import pandas as pd
df = pd.DataFrame({'a': [1, 2, 3], 'c': [1.5, 2.0, 0.5]})
for kind in ['line', 'bar', 'hist', 'box']:
    ax = df.plot(kind=kind)
    ax.figure.savefig(f'{kind}.png')
    plt.close('all')
    print(kind, open(f'{kind}.png', 'rb').read(4), os.path.getsize(f'{kind}.png') > 1000)
for ext in ['svg', 'pdf', 'tiff', 'gif']:
    plt.plot([1, 2]); plt.title('ü ☃')
    plt.savefig('p.' + ext)
    plt.close('all')
    print(ext, open('p.' + ext, 'rb').read(4))",
        "line b'\\x89PNG' True
bar b'\\x89PNG' True
hist b'\\x89PNG' True
box b'\\x89PNG' True
svg b'<?xm'
pdf b'%PDF'
tiff b'II*\\x00'
gif b'GIF8'
",
    );
}

#[test]
fn seaborn_plots_are_saved_to_files() {
    prints(
        "import matplotlib.pyplot as plt, seaborn as sns, pandas as pd
df = pd.DataFrame({'a': [1, 2, 3, 4], 'c': [1.5, 2.0, 0.5, 1.0]})
for draw in [lambda: sns.scatterplot(data=df, x='a', y='c'), lambda: sns.heatmap(df.corr())]:
    draw().figure.savefig('s.png')
    plt.close('all')
    print(open('s.png', 'rb').read(4))",
        "b'\\x89PNG'\nb'\\x89PNG'\n",
    );
}

#[test]
fn pictures_are_written_and_read() {
    prints(
        "from PIL import Image, ImageDraw
im = Image.new('RGB', (40, 30), 'red')
ImageDraw.Draw(im).text((2, 2), 'hi', fill='white')
for ext in ['png', 'gif', 'bmp', 'tiff', 'ppm', 'tga']:
    im.save('i.' + ext)
    with Image.open('i.' + ext) as again:
        again.load()
        print(again.format, again.size, again.convert('RGB').getpixel((39, 29)))
im.save('many.gif', save_all=True, append_images=[im.rotate(90), im.rotate(180)], duration=50)
print(Image.open('many.gif').n_frames)",
        "PNG (40, 30) (255, 0, 0)
GIF (40, 30) (255, 0, 0)
BMP (40, 30) (255, 0, 0)
TIFF (40, 30) (255, 0, 0)
PPM (40, 30) (255, 0, 0)
TGA (40, 30) (255, 0, 0)
3
",
    );
}

#[test]
fn workbooks_are_written_and_read() {
    prints(
        "import openpyxl, xlsxwriter, pandas as pd
book = openpyxl.Workbook()
sheet = book.active
sheet.append(['n', 'v']); sheet.append(['ü', 2.5]); sheet['A3'] = '=SUM(B2:B2)'
chart = openpyxl.chart.BarChart()
chart.add_data(openpyxl.chart.Reference(sheet, min_col=2, min_row=1, max_row=2), titles_from_data=True)
sheet.add_chart(chart, 'D2')
book.create_sheet('two')
book.save('o.xlsx')
again = openpyxl.load_workbook('o.xlsx')
print(again.sheetnames, [[cell.value for cell in row] for row in again.active['A1:B3']])
other = xlsxwriter.Workbook('x.xlsx')
other.add_worksheet('first').write(0, 0, 'written')
other.close()
print(openpyxl.load_workbook('x.xlsx')['first']['A1'].value)
df = pd.DataFrame({'a': [1, 2], 'b': ['x', 'ü'], 'd': pd.date_range('2024-01-01', periods=2)})
with pd.ExcelWriter('s.xlsx') as writer:
    df.to_excel(writer, sheet_name='A', index=False)
    df.to_excel(writer, sheet_name='B')
sheets = pd.read_excel('s.xlsx', sheet_name=None)
print(list(sheets), sheets['A'].equals(df), sheets['B'].shape)",
        "['Sheet', 'two'] [['n', 'v'], ['ü', 2.5], ['=SUM(B2:B2)', None]]
written
['A', 'B'] True (2, 4)
",
    );
}

#[test]
fn tables_are_written_and_read_as_text_and_pickles() {
    prints(
        "import pandas as pd, io
df = pd.DataFrame({'a': [1, 2, 3], 'b': ['x', 'ü', 'z'], 'c': [1.5, 2.0, 2.5]})
def back(got): print(got.reset_index(drop=True).equals(df))
df.to_csv('f.csv', index=False); back(pd.read_csv('f.csv')); back(pd.read_csv('f.csv', engine='python'))
for packed in ['gzip', 'bz2', 'xz', 'zip']:
    df.to_csv('f.packed', index=False, compression=packed)
    back(pd.read_csv('f.packed', compression=packed))
df.to_json('j.jsonl', orient='records', lines=True); back(pd.read_json('j.jsonl', lines=True))
df.to_json('j.json', orient='split'); print(pd.read_json('j.json', orient='split').shape)
df.to_pickle('p.pkl'); back(pd.read_pickle('p.pkl'))
df.to_html('h.html', index=False); back(pd.read_html('h.html', encoding='utf-8')[0]); back(pd.read_html('h.html', flavor='bs4')[0])
df.to_xml('x.xml', index=False); back(pd.read_xml('x.xml')); back(pd.read_xml('x.xml', parser='etree'))
df.to_stata('s.dta', write_index=False, version=118); print(pd.read_stata('s.dta').shape)
print(df.to_markdown(index=False).splitlines()[2])",
        &format!(
            "{}(3, 3)\n{}(3, 3)\n|   1 | x   | 1.5 |\n",
            "True\n".repeat(7),
            "True\n".repeat(5)
        ),
    );
}

#[test]
fn tables_and_rows_are_stored_in_sqlite_files() {
    prints(
        "import sqlite3, os, pandas as pd
path = '/home/user/x.db'
df = pd.DataFrame({'a': [1, 2, 3], 'b': ['x', 'ü', None]})
db = sqlite3.connect(path)
df.to_sql('t', db, index=False)
df.to_sql('t', db, index=False, if_exists='append')
with db:
    db.execute('INSERT INTO t VALUES (?, ?)', (9, 'last'))
db.close()
db = sqlite3.connect(path)
print(pd.read_sql('SELECT count(*) AS n, sum(a) AS s FROM t', db).values.tolist(), db.execute('SELECT b FROM t WHERE a = 9').fetchone())
print(db.execute('PRAGMA integrity_check').fetchone(), os.path.exists(path))
db.close()",
        "[[7, 21]] ('last',)\n('ok',) True\n",
    );
}

#[test]
fn a_database_lasts_to_the_next_turn() {
    crate::support::block_on(async {
        let mut session = sandbox().session().unwrap();
        for (code, expected) in [
            (
                "import sqlite3\ndb = sqlite3.connect('s.db')\nwith db: _ = db.execute('CREATE TABLE t (x)'); _ = db.execute('INSERT INTO t VALUES (1)')",
                "None",
            ),
            ("db.execute('SELECT count(*) FROM t').fetchone()[0]", "1"),
            (
                "_ = db.execute('INSERT INTO t VALUES (2)'); db.in_transaction",
                "True",
            ),
            (
                "db.rollback(); db.close(); db = sqlite3.connect('s.db'); db.execute('SELECT count(*) FROM t').fetchone()[0]",
                "1",
            ),
        ] {
            let e = session.run(code).await.unwrap();
            assert_eq!(result(&e), expected, "{code}");
        }
    });
}

#[test]
fn xml_yaml_and_time_zones_work() {
    prints(
        "from lxml import etree, html
import yaml, zoneinfo, datetime, pandas as pd
root = etree.fromstring('<t><row a=\"1\"/><row a=\"2\"/></t>')
etree.ElementTree(root).write('t.xml', encoding='utf-8', xml_declaration=True)
print(etree.parse('t.xml').getroot().xpath('sum(//@a)'), html.fromstring('<p>a<b>x</b>').xpath('//b/text()'))
sheet = etree.XML('<xsl:stylesheet version=\"1.0\" xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\"><xsl:template match=\"/\"><o><xsl:value-of select=\"count(//row)\"/></o></xsl:template></xsl:stylesheet>')
print(etree.XSLT(sheet)(root).getroot().text)
with open('y.yaml', 'w') as file: yaml.safe_dump({'a': [1, 'ü', None], 'd': datetime.date(2024, 2, 29)}, file, allow_unicode=True)
with open('y.yaml') as file: print(yaml.safe_load(file))
print(datetime.datetime(2024, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')).isoformat(), len(zoneinfo.available_timezones()) > 400)
print(pd.Timestamp('2024-01-01', tz='America/New_York').isoformat())",
        "3.0 ['x']
2
{'a': [1, 'ü', None], 'd': datetime.date(2024, 2, 29)}
2024-07-01T12:00:00+02:00 True
2024-01-01T00:00:00-05:00
",
    );
}

#[test]
fn pdfs_are_written_and_read() {
    prints(
        "from reportlab.pdfgen import canvas
from reportlab.platypus import SimpleDocTemplate, Paragraph, Table, Image as Picture
from reportlab.lib.styles import getSampleStyleSheet
from pypdf import PdfReader, PdfWriter
from PIL import Image
Image.new('RGB', (8, 8), 'blue').save('i.png')
page = canvas.Canvas('c.pdf')
page.drawString(100, 700, 'hello pdf'); page.drawImage('i.png', 100, 500); page.showPage()
page.drawString(100, 700, 'page two'); page.save()
SimpleDocTemplate('d.pdf').build([Paragraph('Title words', getSampleStyleSheet()['Title']), Table([['a', 'b'], [1, 2]]), Picture('i.png')])
writer = PdfWriter()
writer.append('c.pdf'); writer.append('d.pdf'); writer.write('all.pdf')
reader = PdfReader('all.pdf')
print(len(reader.pages), reader.pages[0].extract_text().strip(), '|', reader.pages[2].extract_text().split()[:2], open('all.pdf', 'rb').read(5))",
        "3 hello pdf | ['Title', 'words'] b'%PDF-'\n",
    );
}

#[test]
fn arrays_and_sounds_are_written_and_read() {
    prints(
        "import numpy as np, scipy.io, joblib, wave
np.save('n.npy', np.arange(5)); np.savez_compressed('n.npz', a=np.arange(3)); np.savetxt('n.txt', np.eye(2))
print(np.load('n.npy').sum(), np.load('n.npz')['a'].sum(), np.loadtxt('n.txt').sum())
with open('n.npy', 'wb') as file: np.save(file, np.ones((300, 300), order='F'))
with open('n.npy', 'rb') as file: print(np.load(file).sum())
joblib.dump({'a': np.arange(3)}, 'j.joblib'); print(joblib.load('j.joblib')['a'].sum())
scipy.io.savemat('m.mat', {'a': np.eye(2)}); print(scipy.io.loadmat('m.mat')['a'].sum())
with wave.open('w.wav', 'wb') as file: file.setnchannels(1); file.setsampwidth(2); file.setframerate(8000); file.writeframes(bytes(200))
with wave.open('w.wav') as file: print(file.getnframes())",
        "10 3 2.0\n90000.0\n3\n2.0\n100\n",
    );
}

#[test]
fn formats_without_an_engine_name_the_missing_package() {
    prints(
        "import pandas as pd, sqlite3
from PIL import Image
df = pd.DataFrame({'a': [1]})
im = Image.new('RGB', (2, 2))
open('x', 'wb').close()
def refused(missing, do):
    try:
        do()
    except (ImportError, OSError, ValueError) as error:
        if missing not in str(error): print('not named:', missing, type(error).__name__, error)
    else:
        print('worked:', missing)
refused('pyarrow', lambda: df.to_parquet('x'))
refused('pyarrow', lambda: pd.read_parquet('x'))
refused('fastparquet', lambda: df.to_parquet('x', engine='fastparquet'))
refused('pyarrow', lambda: df.to_feather('x'))
refused('pyarrow', lambda: pd.read_feather('x'))
refused('pyarrow', lambda: df.to_orc('x'))
refused('pyarrow', lambda: pd.read_csv('x', engine='pyarrow'))
refused('tables', lambda: df.to_hdf('x.h5', key='k'))
refused('tables', lambda: pd.read_hdf('x'))
refused('xls', lambda: df.to_excel('x.xls'))
refused('odf', lambda: df.to_excel('x.ods'))
refused('sqlalchemy', lambda: df.to_sql('t', 'sqlite:///x.db'))
refused('sqlalchemy', lambda: pd.read_sql('SELECT 1', 'sqlite:///x.db'))
refused('zstandard', lambda: df.to_csv('x.zst'))
refused('pyreadstat', lambda: pd.read_spss('x'))
refused('jpeg', lambda: im.save('x.jpg'))
refused('webp', lambda: im.save('x.webp'))
refused('avif', lambda: im.save('x.avif'))
refused('fsspec', lambda: pd.read_csv('s3://bucket/x.csv'))",
        "",
    );
}
